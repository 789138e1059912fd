#!/usr/bin/env bash
# The packages for the family of Red Hat, as far as a Debian can try them: rpm.sh [FOLDER]
#
# Each is linted, its signature of contents checked, its files compared with those of the Debian package of the same name, its
# program unpacked and started, its configuration validated. Installing needs a system of that family: docs/install.md says so.
set -euo pipefail

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
folder=${1:-$target/rpm}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "rpm test: FAILED: $*" >&2
    exit 1
}

for name in ringside ringside-steer; do
    package=$(find "$folder" -name "$name-[0-9]*.rpm" | sort -V | tail -n 1)
    [ -n "$package" ] || fail "no package $name in $folder: make package"
    rpm --checksig --nosignature "$package" | grep 'digests OK' >/dev/null || fail "$package is damaged"
    # No manual page for the daemon, no changelog: the rest must be clean.
    rpmlint --config deploy/test/rpmlint.toml "$package" >"$work/lint" 2>&1 || { cat "$work/lint" >&2; fail "rpmlint"; }
    mkdir "$work/$name"
    rpm2archive - <"$package" | tar --extract --gzip --directory "$work/$name"
    [ "$(rpm --query --package --qf '[%{FILEFLAGS:fflags} %{FILENAMES}\n]' "$package" | grep -c '^cn \?/etc/ringside/\|^nc /etc/ringside/')" -eq 1 ] ||
        fail "the configuration of $name is none that upgrades keep"
    # Where the two families differ: licences, and where units and users are.
    dpkg-deb --contents "$(ls -v "$target"/debian/"${name}"_*.deb | tail -n 1)" | awk '$1 !~ /^d/ { print $6 }' |
        sed 's|^\.||; s|/lib/systemd|/usr/lib/systemd|; s|/usr/usr|/usr|; s|\.gz$||' |
        grep -v "^/usr/share/doc/$name/\(copyright\|changelog.*\|LICENSE.*\|THIRD.*\)$" | sort >"$work/deb"
    rpm --query --package --list "$package" | grep -v '^/usr/share/licenses/' | sort >"$work/rpm"
    diff "$work/deb" "$work/rpm" >&2 || fail "the packages of $name differ"
    "$work/$name/usr/bin/$name" --version | grep "^$name " >/dev/null || fail "$name does not start"
done
"$work/ringside/usr/bin/ringside" validate --config "$work/ringside/etc/ringside/pipeline.toml" || fail "its configuration"
echo "rpm test: all well" >&2
