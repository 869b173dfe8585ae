#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shell scripts pass shellcheck. Without shellcheck this is skipped (status 77).
# usage: shell.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/../..}"

command -v shellcheck >/dev/null 2>&1 || { echo "shell: skipped, there is no shellcheck"; exit 77; }

scripts=$(find . \( -path ./build -o -path ./.git -o -name golden \) -prune -o -name '*.sh' -print | sort)
[ ! -f .ci/run ] || scripts="$scripts .ci/run"
[ -n "$scripts" ] || { echo "shell: there are no scripts"; exit 1; }
# shellcheck disable=SC2086 # names of scripts have no blanks
shellcheck $scripts
echo "shell: $(echo "$scripts" | wc -w) scripts, 0 problems"
