#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# From a fresh Debian 12 and a clone to a built, tested or running clusterd. Needs nothing but a POSIX shell:
# what is missing is installed with apt (as root, or through sudo), and only what is missing, so that a second
# run works without a network. Each step says what it does. Nothing outside of build/, of apt's own files and of
# a temporary folder is written.
set -eu

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
JOBS=${JOBS:-}

usage()
{
    cat <<'EOF'
usage: ./bootstrap.sh VERB

verbs:
  build          install what building needs (if missing) and build the release:
                 leaves build/release/clusterd and build/release/clusterctl
  test           install what the tests need (if missing), build with the sanitizers and run all tests;
                 arguments after "test" are handed to ctest (for example: -R lint)
  demo [--keep]  build the release and show three nodes that replicate a session, lose a node and get it back;
                 --keep leaves the three nodes running and says how to talk to them
  packages       print the Debian packages that "build" and "test" use, and install nothing

environment:
  JOBS=N         parallel compilations (default: ninja's choice)

exit status: 0 done, each step held; 1 something failed (said on stderr); 2 wrong usage
EOF
}

say() { printf '%s\n' "==> $*"; }
fail() { printf '%s\n' "bootstrap.sh: $*" >&2; exit 1; }

# What must be there, one line each: kind, what to look for, Debian package that brings it. Looking for the thing
# itself and not for the package lets a compiler, JDK or Node.js from elsewhere do as well.
#   cmd = a command in PATH; pc = a pkg-config module; file = a file (pattern); php = a PHP extension
BUILD_NEEDS='
cmd gcc gcc
file /usr/include/stdio.h libc6-dev
cmd cmake cmake
cmd ninja ninja-build
cmd pkg-config pkg-config
pc libevent_core libevent-dev
pc libevent_pthreads libevent-dev
pc yaml-0.1 libyaml-dev
pc libpcre2-8 libpcre2-dev
pc jansson libjansson-dev
pc hiredis libhiredis-dev
'
DEMO_NEEDS='
cmd redis-cli redis-tools
'
TEST_NEEDS='
pc check check
cmd python3 python3
cmd redis-cli redis-tools
cmd php php-cli
php redis php-redis
cmd node nodejs
cmd javac openjdk-17-jdk-headless
file /usr/share/java/tomcat10-catalina.jar libtomcat10-java
file /usr/share/java/tomcat9-catalina.jar libtomcat9-java
cmd ip iproute2
cmd curl curl
cmd clang clang
file /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-14-dev
cmd llvm-cov llvm
cmd llvm-symbolizer llvm
cmd clang-format clang-format
cmd shellcheck shellcheck
'

# is_there KIND WHAT
is_there()
{
    case $1 in
    cmd) command -v "$2" >/dev/null 2>&1 ;;
    pc) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$2" ;;
    php) command -v php >/dev/null 2>&1 && php -m 2>/dev/null | grep -qix "$2" ;;
    file)
        # shellcheck disable=SC2086 # the pattern is meant to be expanded
        set -- $2
        [ -e "$1" ] ;;
    esac
}

# missing_packages NEEDS: the packages behind what is not there, one a line
missing_packages()
{
    printf '%s' "$1" | while read -r kind what package; do
        [ -n "$kind" ] || continue
        is_there "$kind" "$what" || printf '%s\n' "$package"
    done | sort -u
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

apt()
{
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null
}

# A bare root (debootstrap, some containers) lacks /proc, which JVMs, sanitizers and package scripts read.
have_proc()
{
    [ -e /proc/self ] && return 0
    [ "$(id -u)" = 0 ] || return 0
    say "mounting /proc, which is missing here"
    mkdir -p /proc
    if mount -t proc proc /proc; then
        PROC_MOUNTED=1
    else
        say "could not mount /proc; going on without"
    fi
}

# Leave things as they were found, also after an interruption. Nodes that "demo --keep" leaves running keep /proc.
finish()
{
    rm -f "$LOG"
    [ -z "$PROC_MOUNTED" ] || [ "$KEEP" = --keep ] || umount /proc 2>/dev/null || umount -l /proc
}

# need NEEDS PURPOSE: install what is missing
need()
{
    packages=$(missing_packages "$1" | tr '\n' ' ')
    if [ -z "$packages" ]; then
        say "nothing to install for $2"
        return 0
    fi
    command -v apt-get >/dev/null 2>&1 || fail "apt-get is not there; $2 needs: $packages"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1 ||
        fail "neither root nor sudo; as root, first run: apt-get install $packages"
    say "installing for $2: $packages"
    apt update || say "apt-get update failed; trying with the lists that are there"
    # shellcheck disable=SC2086 # a list of packages
    apt install -y --no-install-recommends $packages || fail "apt-get could not install: $packages"
    packages=$(missing_packages "$1" | tr '\n' ' ')
    [ -z "$packages" ] || fail "still missing after the installation: $packages"
}

# compile PRESET
compile()
{
    say "building preset $1 in build/$1"
    (
        cd "$ROOT"
        cmake --preset "$1" >"$LOG" 2>&1 || { cat "$LOG" >&2; exit 1; }
        cmake --build --preset "$1" ${JOBS:+-j "$JOBS"}
    ) || fail "preset $1 does not build"
}

build_release()
{
    compile release
    for program in clusterd clusterctl; do
        [ -x "$ROOT/build/release/$program" ] || fail "the build left no build/release/$program"
    done
    say "built: build/release/clusterd build/release/clusterctl"
}

do_build()
{
    need "$BUILD_NEEDS" "building"
    build_release
}

do_test()
{
    need "$BUILD_NEEDS$TEST_NEEDS" "the tests"
    compile dev
    say "running the tests"
    status=0
    (cd "$ROOT" && ctest --preset dev --no-label-summary --no-tests=error "$@") || status=1
    return $status
}

do_demo()
{
    need "$BUILD_NEEDS$DEMO_NEEDS" "the demo"
    build_release
    "$ROOT/tests/system/demo.sh" "$@"
}

[ $# -ge 1 ] || { usage >&2; exit 2; }
verb=$1
shift
case $verb in
demo)
    case $# in
    0) ;;
    1) [ "$1" = --keep ] || { usage >&2; exit 2; } ;;
    *) usage >&2; exit 2 ;;
    esac ;;
build|packages)
    [ $# = 0 ] || { usage >&2; exit 2; } ;;
test) ;;
-h|--help|help)
    usage
    exit 0 ;;
*)
    printf '%s\n' "bootstrap.sh: unknown verb: $verb" >&2
    usage >&2
    exit 2 ;;
esac

if [ "$verb" = packages ]; then
    printf '%s' "$BUILD_NEEDS$DEMO_NEEDS$TEST_NEEDS" | while read -r kind what package; do
        [ -z "$kind" ] || printf '%s\n' "$package"
    done | sort -u
    exit 0
fi

KEEP=${1:-}
PROC_MOUNTED=
LOG=$(mktemp)
trap finish EXIT
trap 'exit 130' INT TERM
have_proc
"do_$verb" "$@"
