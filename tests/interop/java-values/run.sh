#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Values through clusterd and back into a real Java: run.sh CUT_VALUES FOLDER_FOR_FILES. Exit status 77: no JDK here.
set -eu
here=$(dirname "$0")
cut_values=$1
dir=$2

for tool in java javac; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: there is no $tool on this machine"
        exit 77
    fi
done
rm -rf "$dir"
mkdir -p "$dir/classes" "$dir/files"
javac -Xlint:-options -d "$dir/classes" "$here/JavaValues.java"
java -cp "$dir/classes" JavaValues write "$dir/files"
"$cut_values" "$dir/files"
java -cp "$dir/classes" JavaValues check "$dir/files"
