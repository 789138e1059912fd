#!/usr/bin/env bash
# Makes a container image of a Debian package with buildah: image.sh PACKAGE NAME USER-ID CAPABILITIES
#
# Nothing is pulled: the image begins empty and holds the program, the libraries of this machine that it is linked with, the
# certificates of well-known authorities, its configuration and the notices of what it is made of. No shell, no root.
# With SOURCE_DATE_EPOCH in the environment the same package makes the same image.
set -euo pipefail

package=$1 name=$2 user=$3 capabilities=$4
cd "$(dirname "$0")/.."
root=${CARGO_TARGET_DIR:-target}/image/$name
rm -rf "$root"
mkdir -p "$root"
dpkg-deb --extract "$package" "$root"
find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name doc -exec rm -r {} +
rm -rf "$root/usr/lib"
# Libraries are named by links, which the loader asks for.
ldd "$root/usr/bin/$name" | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory="$root"
cp --parents /etc/ssl/certs/ca-certificates.crt "$root"
echo "$name:x:$user:$user:$name:/:/" >"$root/etc/passwd"
echo "$name:x:$user:" >"$root/etc/group"
chmod -R go=rX "$root"
setcap "$capabilities+ep" "$root/usr/bin/$name"
containerfile=deploy/Containerfile
[ "$name" = ringside ] || containerfile=deploy/${name#ringside-}/Containerfile
version=$(dpkg-deb --field "$package" Version)
buildah build --file "$containerfile" --tag "localhost/$name" --tag "localhost/$name:${version%%-*}" \
    --label org.opencontainers.image.title="$name" \
    --label org.opencontainers.image.version="${version%%-*}" \
    --label org.opencontainers.image.revision="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    --label org.opencontainers.image.licenses="Apache-2.0" \
    ${SOURCE_DATE_EPOCH:+--timestamp "$SOURCE_DATE_EPOCH"} "$root"
