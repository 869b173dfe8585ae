#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The demo behind "./bootstrap.sh demo": three real nodes on loopback that find each other by multicast
# heartbeats, share a session, lose a member to SIGKILL, and give it everything back by state transfer. Each step
# is explained, carried out and checked; the first one that does not hold ends the demo with status 1 and the
# nodes' logs. Needs no rights: everything is bound to 127.0.0.1. Every wait has a limit.
#
# usage: demo.sh [--keep]
#   BIN=DIR   where clusterd and clusterctl are (default: build/release of this repository)
set -u
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${BIN:-$ROOT/build/release}
KEEP=
[ "${1:-}" = --keep ] && KEEP=1

WAIT_S=20          # the longest wait for any one thing
HASH='sess:d3m0a1b2c3d4e5f6' # key prefix "sess:" and a session id
STRING='sess:f6e5d4c3b2a1d3m0'

exec 3>&2          # where failures are said, also from within a wait whose output is thrown away
WORK=$(mktemp -d /tmp/clusterd-demo.XXXXXX) || exit 1
PIDS=(0 0 0 0)     # process of node 1..3; 0 = not ours to end
STEP=0

step() { STEP=$((STEP + 1)); printf '\n%d. %s\n' "$STEP" "$*"; }
note() { printf '   %s\n' "$*"; }
show() { sed 's/^/   | /'; }
now_ms() { date +%s%3N; }

fail()
{
    local n
    printf '\nFAILED in step %d: %s\n' "$STEP" "$*" >&3
    for n in 1 2 3; do
        [ -e "$WORK/node$n/log" ] || continue
        printf -- '--- the last lines of node %d\n' "$n" >&3
        tail -n 30 "$WORK/node$n/log" >&3
    done
    exit 1
}

is_running() { [ "$1" != 0 ] && kill -0 "$1" 2>/dev/null; }

# Only processes that this script started are ever signalled.
finish()
{
    local status=$? n end
    trap - EXIT INT TERM
    if [ -z "$KEEP" ] || [ "$status" != 0 ]; then
        for n in 1 2 3; do is_running "${PIDS[n]}" && kill -TERM "${PIDS[n]}"; done
        end=$(($(now_ms) + 5000))
        for n in 1 2 3; do
            while is_running "${PIDS[n]}" && [ "$(now_ms)" -lt "$end" ]; do sleep 0.05; done
            is_running "${PIDS[n]}" && kill -KILL "${PIDS[n]}"
        done
        rm -rf "$WORK"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# wait_for WHAT COMMAND...: until the command succeeds, at most WAIT_S seconds
wait_for()
{
    local what=$1 end=$(($(now_ms) + WAIT_S * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$end" ] || fail "waited $WAIT_S s for this and it did not come: $what"
        sleep 0.02
    done
}

# Is a port of this machine in use? /proc tells without opening anything.
port_taken() # tcp|udp PORT
{
    local hex
    hex=$(printf '%04X' "$2")
    cat "/proc/net/$1" "/proc/net/${1}6" 2>/dev/null | awk -v p=":$hex\$" '$2 ~ p {found = 1} END {exit !found}'
}

# free_ports KIND FIRST COUNT: the first run of free ports from FIRST on
free_ports()
{
    local p=$2 i
    while [ "$p" -lt 65000 ]; do
        for ((i = 0; i < $3; i++)); do port_taken "$1" $((p + i)) && break; done
        [ "$i" = "$3" ] && { echo "$p"; return; }
        p=$((p + i + 1))
    done
}

write_config() # node
{
    mkdir -p "$WORK/node$1"
    cat >"$WORK/node$1/clusterd.yaml" <<EOF
cluster:
  className: SimpleTcpCluster
  clusterName: demo
  jvmRoute: node$1
  channelSendOptions: sync,use_ack      # a write is answered when every member has it
  membership:
    className: McastService
    mcastAddr: 228.0.0.4
    mcastPort: $MCAST_PORT
    mcastFrequency: 500
    mcastDropTime: 3000
    bind: 127.0.0.1
  receiver:
    className: ReplicationListener
    tcpListenAddress: 127.0.0.1
    tcpListenPort: $((TCP_PORT + $1 - 1))
    autoBind: 1
    allowFrom: [127.0.0.0/8]
contexts:
  list:
    - name: "localhost#/shop"
      keyPrefix: "sess:"
frontDoor:
  listen:
    - "127.0.0.1:$((RESP_PORT + $1 - 1))"
    - "unix:$WORK/node$1/redis.sock"
control:
  socket: "$WORK/node$1/control.sock"
log:
  level: info
  target: stderr
EOF
}

start_node() # node
{
    setsid "$BIN/clusterd" --config "$WORK/node$1/clusterd.yaml" </dev/null >>"$WORK/node$1/log" 2>&1 &
    PIDS[$1]=$!
    wait_for "node $1 answers PING" node_answers "$1"
}

redis() # node command...
{
    local n=$1
    shift
    timeout "$WAIT_S" redis-cli -h 127.0.0.1 -p $((RESP_PORT + n - 1)) "$@"
}

ctl() # node verb...
{
    local n=$1
    shift
    timeout "$WAIT_S" "$BIN/clusterctl" --socket "$WORK/node$n/control.sock" "$@"
}

node_answers()
{
    is_running "${PIDS[$1]}" || fail "node $1 ended"
    [ "$(redis "$1" PING)" = PONG ]
}

sees() # node other: is the other's cluster port in the node's member list?
{
    ctl "$1" members --json | grep -Eq "\"port\": *$((TCP_PORT + $2 - 1))([^0-9]|\$)"
}

is_complete() { ctl "$1" status --json | grep -Eq '"complete": *true'; }

logged() # node since-line text: is there such a line after the first `since-line` lines?
{
    tail -n +"$(($2 + 1))" "$WORK/node$1/log" | grep -F -- "$3"
}

# logged_about NODE SINCE TEXT OTHER: the same, and the line names the other's cluster port
logged_about() { logged "$1" "$2" "$3" | grep -E "[^0-9]$((TCP_PORT + $4 - 1))[^0-9]"; }

expect() # what wanted got
{
    [ "$3" = "$2" ] || fail "$1: wanted \"$2\", got \"$3\""
    note "$1 -> $3"
}

is_gone() { ! is_running "$1"; }
sees_not() { ! sees "$@"; }
has_two_members() { [ "$(logged "$1" 0 'Replication member added:' | wc -l)" -ge 2 ]; }

# stop_node NODE: by SIGTERM, which must end it with status 0
stop_node()
{
    kill -TERM "${PIDS[$1]}"
    wait_for "node $1 ends after SIGTERM" is_gone "${PIDS[$1]}"
    wait "${PIDS[$1]}" || fail "node $1 ended with status $?"
    PIDS[$1]=0
}

# age_ms NODE SINCE: from the kill to the line that tells of it, by the time that the line bears
age_ms()
{
    local line
    line=$(logged_about "$1" "$2" "$gone" 1 | head -n 1)
    echo $(($(date -d "${line:0:23}" +%s%3N) - killed_ms))
}

log_lines() { wc -l <"$WORK/node$1/log"; }

# ---------------------------------------------------------------------------------------------------------------
for program in "$BIN/clusterd" "$BIN/clusterctl"; do
    [ -x "$program" ] || fail "$program is not there; ./bootstrap.sh build makes it"
done
command -v redis-cli >/dev/null || fail "redis-cli is not there (Debian: redis-tools)"
if [ "$(id -u)" = 0 ] && command -v ip >/dev/null; then
    ip link set lo up 2>/dev/null
fi

MCAST_PORT=$(free_ports udp 45564 1)
TCP_PORT=$(free_ports tcp 4001 3)
RESP_PORT=$(free_ports tcp 6381 3)

step "Start three nodes. Nothing tells one about the others: each sends heartbeats to 228.0.0.4:$MCAST_PORT."
for n in 1 2 3; do write_config $n; done
for n in 1 2 3; do start_node $n; done
for n in 1 2 3; do
    for o in 1 2 3; do [ $n = $o ] || wait_for "node $n sees node $o" sees $n $o; done
    wait_for "node $n is complete" is_complete $n
done
for n in 1 2 3; do
    note "node $n: cluster 127.0.0.1:$((TCP_PORT + n - 1)), redis-cli -p $((RESP_PORT + n - 1)), process ${PIDS[n]}"
done
note "Each wrote a line for each of the others, as a Tomcat does; node 1:"
wait_for "node 1 logs two members" has_two_members 1
logged 1 0 'Replication member added:' | show

step "Write a session through node 1, as any Redis client would: a hash is a session, its fields are attributes."
expect "HSET $HASH user alice cart 3 books (node 1)" 2 "$(redis 1 HSET $HASH user alice cart '3 books')"
expect "EXPIRE $HASH 1800 (node 1)" 1 "$(redis 1 EXPIRE $HASH 1800)"
expect "SETEX $STRING 1800 {\"user\":\"bob\"} (node 1)" OK "$(redis 1 SETEX $STRING 1800 '{"user":"bob"}')"

step "Read it on nodes 2 and 3. Under channelSendOptions sync,use_ack they had it before node 1 answered."
for n in 2 3; do
    expect "HGET $HASH user (node $n)" alice "$(redis $n HGET $HASH user)"
    expect "HGET $HASH cart (node $n)" '3 books' "$(redis $n HGET $HASH cart)"
    expect "GET $STRING (node $n)" '{"user":"bob"}' "$(redis $n GET $STRING)"
    ttl=$(redis $n TTL $HASH)
    { [ "$ttl" -gt 1700 ] && [ "$ttl" -le 1800 ]; } 2>/dev/null || fail "TTL $HASH (node $n): $ttl"
    note "TTL $HASH (node $n) -> $ttl"
done

step "Kill node 1 with SIGKILL: it cannot say goodbye."
since2=$(log_lines 2)
since3=$(log_lines 3)
disown "${PIDS[1]}" # or bash would report the kill
killed_ms=$(now_ms)
kill -KILL "${PIDS[1]}" || fail "node 1 was gone before"
gone='Received member disappeared:'
wait_for "node 2 notices" logged_about 2 "$since2" "$gone" 1
wait_for "node 3 notices" logged_about 3 "$since3" "$gone" 1
note "noticed by node 2 after $(age_ms 2 "$since2") ms, by node 3 after $(age_ms 3 "$since3") ms" \
    "(heartbeats alone would take 3,000 ms):"
logged_about 2 "$since2" "$gone" 1 | sed 's/^/node 2: /' | show
logged_about 3 "$since3" "$gone" 1 | sed 's/^/node 3: /' | show
PIDS[1]=0

step "Read the session again, and change it while node 1 is away."
for n in 2 3; do expect "HGET $HASH user (node $n)" alice "$(redis $n HGET $HASH user)"; done
expect "HSET $HASH cart 4 books (node 2)" 0 "$(redis 2 HSET $HASH cart '4 books')"
expect "HGET $HASH cart (node 3)" '4 books' "$(redis 3 HGET $HASH cart)"

step "What clusterctl says about the members, on node 2:"
wait_for "node 2 has dropped node 1" sees_not 2 1
wait_for "node 2 sees node 3" sees 2 3
ctl 2 members | show
[ "${PIPESTATUS[0]}" = 0 ] || fail "clusterctl members"

step "Start node 1 again. It is empty, and asks the others for all sessions before it calls itself complete."
since1=$(log_lines 1)
since2=$(log_lines 2)
start_node 1
wait_for "node 2 sees node 1 again" logged_about 2 "$since2" 'Replication member added:' 1
wait_for "node 1 is complete" is_complete 1
logged 1 "$since1" 'session state' | show
expect "HGET $HASH user (node 1)" alice "$(redis 1 HGET $HASH user)"
expect "HGET $HASH cart (node 1)" '4 books' "$(redis 1 HGET $HASH cart)"
expect "GET $STRING (node 1)" '{"user":"bob"}' "$(redis 1 GET $STRING)"
wait_for "node 1 sees node 2" sees 1 2
wait_for "node 1 sees node 3" sees 1 3
ctl 1 members | show

if [ -n "$KEEP" ]; then
    step "The three nodes stay up. To talk to them:"
    for n in 1 2 3; do
        note "node $n: redis-cli -p $((RESP_PORT + n - 1)) HGETALL $HASH"
        note "        $BIN/clusterctl --socket $WORK/node$n/control.sock members"
        note "        log: $WORK/node$n/log"
    done
    note "To end them and to remove their files:"
    note "        kill ${PIDS[*]:1}; rm -r $WORK"
    exit 0
fi

step "Stop the nodes, this time politely; each takes its leave, so nobody has to find out."
since3=$(log_lines 3)
stop_node 1
wait_for "node 3 heard node 1 leave" logged_about 3 "$since3" "$gone" 1
note "node 1 ended with status 0; node 3 wrote:"
logged_about 3 "$since3" "$gone" 1 | show
stop_node 2
stop_node 3
note "nodes 2 and 3 ended with status 0"
printf '\nEach step held.\n'
