# shellcheck shell=bash disable=SC2034,SC1007
# SPDX-License-Identifier: Apache-2.0
#
# Shared shell functions of the harness. Source it; do not run it.
# Everything is taken relative to this file or from variables:
#   TOMCAT        10 (default) or 9: which jars
#   TOMCAT_JARS   directory with tomcat10-*.jar / tomcat9-*.jar (distribution packages
#                 libtomcat10-java, libtomcat9-java)
#   JAVA, JAVAC   JDK commands
HARNESS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOMCAT=${TOMCAT:-10}
TOMCAT_JARS=${TOMCAT_JARS:-/usr/share/java}
JAVA=${JAVA:-java}
JAVAC=${JAVAC:-javac}
MCAST_ADDR=${MCAST_ADDR:-228.0.0.4}

say() { echo "[$(date +%H:%M:%S.%3N)] $*" >&2; }
die() { say "FAIL: $*"; exit 1; }
now_ms() { date +%s%3N; }

# class path of one Tomcat version
tomcat_cp() { # version
	local v=$1 cp= j
	for j in catalina catalina-ha tribes coyote api util util-scan jni juli servlet-api \
		el-api jsp-api annotations-api jaspic-api; do
		[ -e "$TOMCAT_JARS/tomcat$v-$j.jar" ] || { echo "missing $TOMCAT_JARS/tomcat$v-$j.jar" >&2; return 1; }
		cp=$cp${cp:+:}$TOMCAT_JARS/tomcat$v-$j.jar
	done
	echo "$cp"
}

# JVM flags that every JVM here needs
JVM_FLAGS="-Djava.net.preferIPv4Stack=true -XX:+UseSerialGC -XX:-UsePerfData -Djava.awt.headless=true
 --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED
 --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.util.concurrent=ALL-UNNAMED
 --add-opens=java.rmi/sun.rmi.transport=ALL-UNNAMED"

# loopback able to carry multicast (idempotent; needs CAP_NET_ADMIN)
net_setup() {
	ip link set lo up
	ip link set lo multicast on
	ip route show table main | grep -q '^22[48].*dev lo' || ip route add 228.0.0.0/8 dev lo
}

# wait_for SECONDS command...   polls every 50 ms
wait_for() {
	local end=$(( $(now_ms) + $1 * 1000 )); shift
	while [ "$(now_ms)" -lt "$end" ]; do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
	return 1
}
# kill a process and wait until it is gone
stop_pid() { # pid [signal] [seconds]
	local p=$1 s=${2:-TERM} t=${3:-20} i
	kill "-$s" "$p" 2>/dev/null || return 0
	for i in $(seq $((t * 20))); do
		[ -d "/proc/$p" ] && [ "$(awk '{print $3}' "/proc/$p/stat" 2>/dev/null)" != Z ] || return 0
		sleep 0.05
	done
	kill -KILL "$p" 2>/dev/null
	return 1
}
