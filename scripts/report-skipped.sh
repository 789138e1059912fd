#!/usr/bin/env bash
# Says at the end of a test run which tests could not run here, and why: report-skipped.sh FILE
#
# The tests append one line each to FILE; no FILE means that all ran.
set -euo pipefail

[ -s "$1" ] || exit 0
printf '\n%s tests were skipped:\n' "$(wc -l <"$1")"
sort "$1" | sed 's/^/  /'
