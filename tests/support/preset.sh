#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A test that consists of other tests: builds another preset of CMakePresets.json in its own folder and runs those
# of its tests whose names match, for what one build cannot do (ThreadSanitizer excludes AddressSanitizer).
# usage: preset.sh PRESET REGEX
set -eu
cd "$(dirname "$0")/../.."
preset=$1
regex=$2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${JOBS:+-j "$JOBS"}; } >"$log" 2>&1; then
    tail -n 50 "$log"
    echo "preset $preset does not build"
    exit 1
fi

# Sanitizers of this age cannot place their shadow where newer kernels put programs by default.
run=
if setarch -R true 2>/dev/null; then
    run="setarch -R"
fi
$run ctest --test-dir "build/$preset" -R "$regex" --parallel "${JOBS:-$(nproc)}" --verbose --no-tests=error
