#!/usr/bin/env bash
# Everything that is released, from a clean clone of HEAD, in one go: dist.sh OUT
#
# Leaves in OUT packages for Debian and for the family of Red Hat, archives of the same files, images as OCI archives where
# buildah is, debug information, the list of components (CycloneDX), the notices of third parties, and SHA256SUMS over all of
# them. Everything is dated by the commit and built under the same path, so that doing it twice gives the same bytes.
set -euo pipefail

out=$(realpath --canonicalize-missing "${1:?usage: dist.sh OUT}")
cd "$(dirname "$0")/.."
say() { echo "dist: $*" >&2; }

target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
# Tools are kept; sources and what is built of them are not.
export RINGSIDE_TOOLS=${RINGSIDE_TOOLS:-$target/tools}
clone=$target/dist/ringside
mkdir -p "$out"
if [ -n "$(ls -A "$out")" ]; then
    echo "dist: $out is not empty: name a new folder, OUT=..., or empty it yourself" >&2
    exit 2
fi
rm -rf "$target/dist"
mkdir -p "$target/dist"
git clone --quiet "file://$PWD" "$clone"
cd "$clone"
export CARGO_TARGET_DIR=$clone/target CARGO_INCREMENTAL=0
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# Where it was built says nothing to anybody.
export RUSTFLAGS="--remap-path-prefix=$clone=/ringside --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
machine=$(dpkg --print-architecture)

say "binaries, each with the list of what it is made of"
auditable=$(scripts/tool.sh cargo-auditable)
PATH=$(dirname "$auditable"):$PATH scripts/ensure-rust.sh cargo auditable build --release --locked --package ringside --package steer
for binary in ringside ringside-steer; do
    scripts/split.sh "target/release/$binary"
done

say "packages"
scripts/package.sh deb rpm >&2
find target/debian target/rpm -maxdepth 1 \( -name '*.deb' -o -name '*.rpm' \) -exec cp {} "$out" \;

# pack FOLDER FILE...: an archive on standard output; the same files give the same one.
pack() {
    tar --create --directory "$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner "${@:2}"
}
# archive NAME FOLDER
archive() {
    pack "$2" . | zstd --quiet -19 --threads=0 -o "$out/$1"
}
say "archives"
for package in target/debian/*.deb; do
    name=$(dpkg-deb --field "$package" Package)
    mkdir -p "target/files/$name"
    dpkg-deb --extract "$package" "target/files/$name"
    archive "$name-$version-linux-$machine.tar.zst" "target/files/$name"
    mkdir -p "target/files/$name-debug/usr/bin"
    cp "target/release/$name.debug" "target/files/$name-debug/usr/bin/"
    archive "$name-$version-linux-$machine-debug.tar.zst" "target/files/$name-debug"
done

say "lists"
cyclonedx=$(scripts/tool.sh cargo-cyclonedx)
# One for each member of the workspace. Paths in them become those that the binaries have.
scripts/ensure-rust.sh "$cyclonedx" cyclonedx --format json --spec-version 1.5 --no-build-deps --override-filename sbom --quiet
for crate in ringside steer; do
    name=ringside
    [ "$crate" = ringside ] || name=ringside-$crate
    sed "s|file://$clone|file:///ringside|g" "$crate/sbom.json" >"$out/$name-$version.cdx.json"
done
cp target/said/THIRD-PARTY-NOTICES.txt "$out/"

if command -v buildah >/dev/null && [ "$(id -u)" -eq 0 ]; then
    say "images"
    make --no-print-directory images-of-packages >&2
    for name in ringside ringside-steer; do
        image=target/files/$name-image
        buildah push --quiet "localhost/$name:$version" "oci:$image:$name:$version"
        pack "$image" oci-layout index.json blobs >"$out/$name-$version-$machine.oci.tar"
    done
else
    say "no images: that takes buildah and root"
fi

cd "$out"
sha256sum -- * >SHA256SUMS
say "in $out:"
ls -l
