#!/usr/bin/env bash
# Makes the Debian package of the release binary with cargo-deb, which is installed where it is missing.
#
# What is in it: [package.metadata.deb] in ringside/Cargo.toml. Prints the path of the package.
set -euo pipefail

cd "$(dirname "$0")/.."
rust=scripts/ensure-rust.sh
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
command -v cargo-deb >/dev/null || "$rust" cargo install --locked cargo-deb
"$rust" cargo deb --no-build --strip --locked --package ringside
