#!/usr/bin/env bash
# Makes the packages of the release binaries, for Debian and for the family of Red Hat: package.sh [deb|rpm...]
#
# What is in them: [package.metadata.deb] and [package.metadata.generate-rpm] in ringside/Cargo.toml and steer/Cargo.toml.
# Prints the paths of the packages. With SOURCE_DATE_EPOCH in the environment the same binaries make the same packages.
set -euo pipefail

cd "$(dirname "$0")/.."
rust=scripts/ensure-rust.sh
target=${CARGO_TARGET_DIR:-target}
# What is made for the packages, where their lists of files name it.
said=target/said
rm -rf "$said"
scripts/said.sh "$target/release/ringside" "$said/share"
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
            mkdir -p "$target/rpm"
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
