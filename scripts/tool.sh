#!/usr/bin/env bash
# Prints where a tool for packaging is, in exactly the version named here, and builds it first where it is missing: tool.sh NAME
#
# They are built from crates.io into target/tools and serve nothing but this checkout. What a package holds must not depend on
# what somebody has installed: so none is looked for in PATH.
set -euo pipefail

cd "$(dirname "$0")/.."
declare -A versions=(
    [cargo-about]=0.9.3
    [cargo-auditable]=0.7.7
    [cargo-cyclonedx]=0.5.9
    [cargo-deb]=3.8.0
    [cargo-deny]=0.20.2
    [cargo-generate-rpm]=0.21.1
    [mdbook]=0.5.4
)
name=${1:?usage: tool.sh NAME}
version=${versions[$name]:?tool.sh: no such tool: $name}
root=$(realpath --canonicalize-missing "${RINGSIDE_TOOLS:-${CARGO_TARGET_DIR:-target}/tools}")
if [ ! -x "$root/$name/$version/bin/$name" ]; then
    echo "tool: $name $version is built, once, into $root" >&2
    features=()
    [ "$name" != cargo-about ] || features=(--features cli)
    CARGO_TARGET_DIR=$root/build scripts/ensure-rust.sh cargo install --locked --quiet --root "$root/$name/$version" \
        --version "$version" "${features[@]}" "$name" >&2
fi
echo "$root/$name/$version/bin/$name"
