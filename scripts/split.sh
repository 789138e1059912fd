#!/usr/bin/env bash
# Takes the debug information out of a binary and puts it beside it: split.sh BINARY
#
# BINARY.debug is what gdb, perf and backtraces read: the binary names it. A binary that has been split stays as it is.
set -euo pipefail

binary=$1
objcopy=$(command -v objcopy || command -v llvm-objcopy)
readelf=$(command -v readelf || command -v llvm-readelf)
# Read to its end: a reader that goes early makes the pipeline fail.
"$readelf" --section-headers --wide "$binary" | grep ' \.debug_info ' >/dev/null || exit 0
# Written beside and renamed over: cargo keeps the whole one under another name, and whoever runs it goes on.
"$objcopy" --only-keep-debug "$binary" "$binary.debug"
chmod -x "$binary.debug"
(cd "$(dirname "$binary")" && "$objcopy" --strip-all --add-gnu-debuglink="$(basename "$binary").debug" \
    "$(basename "$binary")" "$(basename "$binary").stripped")
mv "$binary.stripped" "$binary"
