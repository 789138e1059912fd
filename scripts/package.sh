#!/usr/bin/env bash
# Makes the packages of the release binaries, for Debian and for the family of Red Hat: package.sh [deb|rpm...]
#
# What is in them: [package.metadata.deb] and [package.metadata.generate-rpm] in ringside/Cargo.toml and steer/Cargo.toml.
# Prints the paths of the packages. With SOURCE_DATE_EPOCH in the environment the same binaries make the same packages.
set -euo pipefail

cd "$(dirname "$0")/.."
rust=scripts/ensure-rust.sh
target=${CARGO_TARGET_DIR:-target}
# Manual pages and completions are what the binary says of itself.
binary=$target/release/ringside
said=target/said
rm -rf "$said"
mkdir -p "$said/man1" "$said/completions"
"$binary" man --output "$said/man1"
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$said/completions/ringside.$shell"
done
scripts/docs.sh "$said/docs"
scripts/notices.sh >"$said/THIRD-PARTY-NOTICES.txt"
for kind in "${@:-deb}"; do
    case $kind in
        deb)
            tool=$(scripts/tool.sh cargo-deb)
            for crate in ringside steer; do
                "$rust" "$tool" deb --no-build --no-strip --locked --package "$crate"
            done
            ;;
        rpm)
            tool=$(scripts/tool.sh cargo-generate-rpm)
            for crate in ringside steer; do
                "$rust" "$tool" generate-rpm --package "$crate" --target-dir "$target" --output "$target/rpm/" \
                    ${SOURCE_DATE_EPOCH:+--source-date "$SOURCE_DATE_EPOCH"}
            done
            find "$target/rpm" -name '*.rpm'
            ;;
        *)
            echo "package: no such kind: $kind" >&2
            exit 2
            ;;
    esac
done
