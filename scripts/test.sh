#!/usr/bin/env bash
# Runs the tests and ends with what could not run here, and why, and how many passed: test.sh SKIPPED COMMAND...
#
# A test that cannot run here appends one line to the file SKIPPED, its name and the reason, and counts as skipped, not as
# passed; no file means that all ran. The last line is always "N passed, N failed, N skipped".
set -uo pipefail

skipped=$1
shift
rm -f "$skipped"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

count=0
if [ -s "$skipped" ]; then
    # Each once, however many have said it.
    sort -u -o "$skipped" "$skipped"
    count=$(wc -l <"$skipped")
    printf '\n%s tests were skipped:\n' "$count"
    sed 's/^/  /' "$skipped"
fi
# One line for all test programs: cargo gives each its own. A skipped test has passed for cargo.
totals=$(awk -v skipped="$count" '
    /^test result: / { passed += $4; failed += $6; ignored += $8 }
    END { printf "%d passed, %d failed, %d skipped", passed - skipped, failed, skipped + ignored }' "$log")
if [ "$status" -ne 0 ]; then
    case $totals in
        *" 0 failed, "*) printf '\nNo test failed, but not all could be built or run: see above.\n' ;;
    esac
fi
printf '\n%s\n' "$totals"
exit "$status"
