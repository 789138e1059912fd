#!/usr/bin/env bash
# Runs a command with a Rust new enough for this workspace: ensure-rust.sh [COMMAND...]
#
# Enough is what `rust-version` in Cargo.toml says. Looked for in this order: cargo in PATH, cargo in
# ${CARGO_HOME:-~/.cargo}; then rustup brings the stable toolchain, and where rustup is missing too it is
# installed from https://sh.rustup.rs. Nothing outside CARGO_HOME and RUSTUP_HOME is changed.
set -euo pipefail

manifest=$(dirname "$0")/../Cargo.toml
needed=$(sed -n 's/^rust-version *= *"\(.*\)"$/\1/p' "$manifest")
home=${CARGO_HOME:-$HOME/.cargo}

say() { echo "ensure-rust: $*" >&2; }

# version_of CARGO prints its version, or nothing when it does not run.
version_of() { "$1" --version 2>/dev/null | awk '{ print $2 }' || true; }

# enough CARGO succeeds when that cargo is at least as new as needed.
enough() {
    local have
    have=$(version_of "$1")
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$needed" "$have" | sort -V | head -n 1)" = "$needed" ]
}

if enough cargo; then
    exec "${@:-true}"
fi
found=$(version_of cargo)
found=${found:+only $found}
export PATH="$home/bin:$PATH"
hash -r
if enough cargo; then
    exec "${@:-true}"
fi

say "Rust $needed or later is needed, ${found:-none} is here"
# A default toolchain that is too old must not win over the one installed here.
export RUSTUP_TOOLCHAIN=stable
if command -v rustup >/dev/null; then
    say "installing the stable toolchain with rustup"
    rustup toolchain install stable --profile minimal --component clippy --component rustfmt >&2
else
    say "installing rustup and the stable toolchain into $home"
    if ! command -v curl >/dev/null; then
        say "curl is missing: apt-get install curl ca-certificates"
        exit 1
    fi
    installer=$(mktemp)
    trap 'rm -f "$installer"' EXIT
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://sh.rustup.rs --output "$installer"
    sh "$installer" -y --quiet --no-modify-path --profile minimal --component clippy rustfmt \
        --default-toolchain stable >&2
    rm -f "$installer"
    trap - EXIT
fi
hash -r
if ! enough cargo; then
    say "rustup has brought $(version_of cargo), which is still older than $needed"
    exit 1
fi
exec "${@:-true}"
