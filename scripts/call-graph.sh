#!/usr/bin/env bash
# Prints which file of processor-dialog calls which, and how often: call-graph.sh
set -euo pipefail
cd "$(dirname "$0")/.."
exec scripts/ensure-rust.sh cargo test --quiet --package integration --test call_graph -- --nocapture no_two_files
