#!/usr/bin/env bash
# Runs a command with a Rust new enough for this workspace: ensure-rust.sh [COMMAND...]
# Says by its exit whether there is one, and installs nothing: ensure-rust.sh --check
#
# Enough is what `rust-version` in Cargo.toml says. Looked for in this order: cargo in PATH, cargo in
# ${CARGO_HOME:-~/.cargo}; then rustup brings exactly that version (its lints and formatting are those the
# project is checked with), and where rustup is missing too it is installed, from where RUSTUP_UPDATE_ROOT
# says or rust-lang.org. Nothing outside CARGO_HOME and RUSTUP_HOME is changed.
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

check=
if [ "${1:-}" = --check ]; then
    check=1
    shift
fi

# go COMMAND... ends here, with a Rust that is new enough in PATH.
go() {
    [ -z "$check" ] || exit 0
    exec "${@:-true}"
}

if enough cargo; then
    go "$@"
fi
found=$(version_of cargo)
found=${found:+only $found}
export PATH="$home/bin:$PATH"
hash -r
if enough cargo; then
    go "$@"
fi

# A default toolchain that is too old must not win over the one installed here, now or by an earlier run.
export RUSTUP_TOOLCHAIN=$needed RUSTUP_AUTO_INSTALL=0
if enough cargo; then
    go "$@"
fi

[ -z "$check" ] || exit 1
say "Rust $needed or later is needed, ${found:-none} is here"
if command -v rustup >/dev/null; then
    say "installing Rust $needed with rustup"
    rustup toolchain install "$needed" --profile minimal --component clippy --component rustfmt >&2
else
    say "installing rustup and Rust $needed into $home"
    if ! command -v curl >/dev/null; then
        say "curl is missing: apt-get install curl ca-certificates"
        exit 1
    fi
    installer=$(mktemp)
    trap 'rm -f "$installer"' EXIT
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail \
        "${RUSTUP_UPDATE_ROOT:-https://static.rust-lang.org/rustup}/rustup-init.sh" --output "$installer"
    sh "$installer" -y --quiet --no-modify-path --profile minimal --component clippy --component rustfmt \
        --default-toolchain "$needed" >&2
    rm -f "$installer"
    trap - EXIT
fi
hash -r
if ! enough cargo; then
    say "rustup has brought $(version_of cargo), which is still older than $needed"
    exit 1
fi
go "$@"
