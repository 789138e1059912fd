#!/usr/bin/env bash
# Prints the licences of everything that is linked into the binaries, each once, with what it applies to.
set -euo pipefail

cd "$(dirname "$0")/.."
about=$(scripts/tool.sh cargo-about)
scripts/ensure-rust.sh "$about" generate --locked --workspace --fail --config about.toml scripts/notices.hbs
