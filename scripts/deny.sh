#!/usr/bin/env bash
# Holds everything that is linked against deny.toml: licences, sources, bans, and advisories where their database can be had.
set -euo pipefail

cd "$(dirname "$0")/.."
deny=(scripts/ensure-rust.sh "$(scripts/tool.sh cargo-deny)" --workspace)
"${deny[@]}" check licenses bans sources
if "${deny[@]}" fetch db; then
    "${deny[@]}" check advisories
else
    echo "skipped: advisories: their database cannot be had here" >&2
fi
