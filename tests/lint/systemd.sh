#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# systemd's own tools find nothing wrong with the unit and with the files beside it. Skipped (status 77) without them.
# usage: systemd.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/../..}"

command -v systemd-analyze >/dev/null 2>&1 || { echo "systemd: skipped, there is no systemd-analyze"; exit 77; }
[ -e /proc/self ] || { echo "systemd: skipped, its tools need /proc"; exit 77; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The program need not be installed for this.
sed 's#^ExecStart=/usr/bin/clusterd#ExecStart=/bin/true#' systemd/clusterd.service >"$folder/clusterd.service"
complaints=$(systemd-analyze verify --man=no "$folder/clusterd.service" 2>&1 | grep -F clusterd.service || true)
if [ -n "$complaints" ]; then
    echo "$complaints"
    exit 1
fi

# Both tools write into a root of their own; the user database of this machine is not touched.
mkdir -p "$folder/root/etc"
systemd-sysusers --root="$folder/root" "$PWD/systemd/clusterd.sysusers.conf" >"$folder/out" 2>&1 || {
    cat "$folder/out"
    exit 1
}
grep -q '^clusterd:' "$folder/root/etc/passwd" || { echo "systemd: sysusers made no user clusterd"; exit 1; }
systemd-tmpfiles --root="$folder/root" --create "$PWD/systemd/clusterd.tmpfiles.conf" >"$folder/out" 2>&1 || {
    cat "$folder/out"
    exit 1
}
[ -d "$folder/root/run/clusterd" ] || { echo "systemd: tmpfiles made no /run/clusterd"; exit 1; }
echo "systemd: 3 files, 0 problems"
