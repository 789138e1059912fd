#!/usr/bin/env bash
# Holds two builds against each other, byte for byte: compare.sh OLD NEW [CALLS]
#
# Both read every capture of testdata/, every capture of others where RINGSIDE_SHARED or ../shared is, and CALLS made-up
# everyday calls (100,000 unless given), with one shard and with two; what they print, and the records of --calls, are
# compared. Prints the captures that differ, and how many were the same; ends with 1 where any differs. A change of a rule
# changes numbers: then the list is what the changelog has to name.
set -euo pipefail

old=$(realpath "${1:?usage: compare.sh OLD NEW [CALLS]}")
new=$(realpath "${2:?usage: compare.sh OLD NEW [CALLS]}")
calls=${3:-100000}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

scripts/ensure-rust.sh cargo run --quiet --release --package integration --bin traffic -- "$calls" "$work/everyday.pcap" >&2
shared=${RINGSIDE_SHARED:-../shared}
[ -d "$shared/data" ] || echo "skipped: captures of others, for want of the folder data in $shared" >&2
mapfile -d '' captures < <(
    find testdata "$work" $([ -d "$shared/data" ] && echo "$shared/data") -type f \
        \( -name '*.pcap' -o -name '*.pcapng' -o -name '*.cap' -o -name '*.gz' \) -print0 | sort -z
)

# read BINARY SHARDS CAPTURE OUTPUT
read_capture() {
    rm -f "$work/calls"
    "$1" replay "$3" --set "service.shards=$2" --calls "$work/calls" >"$4" 2>"$4.err" || echo "exit $?" >>"$4"
    cat "$4.err" >>"$4"
    [ ! -e "$work/calls" ] || cat "$work/calls" >>"$4"
    # Which build it is, each says of itself.
    sed -i '/_build_info{/d' "$4"
}

same=0 different=0
for capture in "${captures[@]}"; do
    for shards in 1 2; do
        read_capture "$old" $shards "$capture" "$work/old"
        read_capture "$new" $shards "$capture" "$work/new"
        if cmp --silent "$work/old" "$work/new"; then
            same=$((same + 1))
        else
            different=$((different + 1))
            echo "$capture, $shards shards: $(diff "$work/old" "$work/new" | grep -c '^[<>]') lines"
        fi
    done
done
echo "$same the same, $different different"
[ $different -eq 0 ]
