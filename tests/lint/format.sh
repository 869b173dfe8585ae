#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The C files are as clang-format (.clang-format) writes them. Without clang-format this is skipped (status 77).
# usage: format.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/../..}"

command -v clang-format >/dev/null 2>&1 || { echo "format: skipped, there is no clang-format"; exit 77; }

# Clean files are done in one go; only what is not clean is looked at again, file by file, for a short report.
list=$(find src include tests \( -name golden -o -name corpus \) -prune -o -name '*.[ch]' -print 2>/dev/null | sort)
[ -n "$list" ] || { echo "format: there are no C files"; exit 1; }
# shellcheck disable=SC2086 # names of source files have no blanks
if clang-format --dry-run -Werror $list >/dev/null 2>&1; then
    echo "format: $(echo "$list" | wc -l) files, 0 problems"
    exit 0
fi
for file in $list; do
    clang-format --dry-run -Werror "$file" 2>&1 | grep -m1 'error:' || true
done
echo "format: to repair, run: clang-format -i FILE"
exit 1
