#!/usr/bin/env bash
# Runs the tests and ends with what could not run here, and why, and how many passed: test.sh SKIPPED COMMAND...
#
# Tests that cannot run here append one line each to the file SKIPPED; no file means that all ran.
set -uo pipefail

skipped=$1
shift
rm -f "$skipped"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

if [ -s "$skipped" ]; then
    printf '\n%s tests were skipped:\n' "$(wc -l <"$skipped")"
    sort "$skipped" | sed 's/^/  /'
fi
# One line for all test programs: cargo gives each its own.
awk '/^test result: / { passed += $4; failed += $6 } END { printf "\n%d passed, %d failed\n", passed, failed }' "$log"
exit "$status"
