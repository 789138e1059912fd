#!/usr/bin/env bash
# Runs every fuzz target one after another: fuzz.sh SECONDS
#
# On stable Rust (sanitizer flags need RUSTC_BOOTSTRAP); installs cargo-fuzz where it is missing. A finding ends the
# run and lies in fuzz/artifacts/.
set -euo pipefail

cd "$(dirname "$0")/../fuzz"
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
export RUSTC_BOOTSTRAP=1
for target in $(cargo fuzz list --fuzz-dir .); do
    # What it finds goes into the first folder; the corpus that is kept is only read.
    found=target/found/$target
    mkdir -p "$found"
    cargo fuzz run --fuzz-dir . "$target" "$found" "corpus/$target" -- \
        -max_total_time="${1:?seconds per target}" -rss_limit_mb=2048
done
