#!/usr/bin/env bash
# Makes the Debian packages of the release binaries with cargo-deb, which is installed where it is missing.
#
# What is in them: [package.metadata.deb] in ringside/Cargo.toml and steer/Cargo.toml. Prints the paths of the packages.
set -euo pipefail

cd "$(dirname "$0")/.."
rust=scripts/ensure-rust.sh
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
command -v cargo-deb >/dev/null || "$rust" cargo install --locked cargo-deb
# Manual pages and completions are what the binary says of itself.
binary=${CARGO_TARGET_DIR:-target}/release/ringside
said=target/said
rm -rf "$said"
mkdir -p "$said/man1" "$said/completions"
"$binary" man --output "$said/man1"
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$said/completions/ringside.$shell"
done
"$rust" cargo deb --no-build --strip --locked --package ringside
"$rust" cargo deb --no-build --strip --locked --package steer
