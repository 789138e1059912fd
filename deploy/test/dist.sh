#!/usr/bin/env bash
# That what is released does not depend on when it is made: `make dist` twice, and the same bytes: dist.sh
set -euo pipefail

cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scripts/dist.sh "$work/first"
# A second later at least, so that a clock that was looked at shows.
until [ "$(date +%s)" -gt "$(stat --format=%Y "$work/first/SHA256SUMS")" ]; do :; done
scripts/dist.sh "$work/second"
diff "$work/first/SHA256SUMS" "$work/second/SHA256SUMS" || {
    echo "dist test: FAILED: these differ" >&2
    exit 1
}
(cd "$work/second" && sha256sum --quiet --check SHA256SUMS)
echo "dist test: $(wc -l <"$work/first/SHA256SUMS") files, twice the same" >&2
