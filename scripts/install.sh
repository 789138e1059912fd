#!/usr/bin/env bash
# Installs what was built: install.sh BINARY DESTDIR PREFIX
#
# The same files as in the Debian package, in PREFIX instead of /usr; the configuration is always in /etc, and one that
# is there stays. Starts nothing and, but for the files, changes nothing.
set -euo pipefail
# What is installed is for everybody to read, whatever mask the installer has.
umask 022

binary=$1
prefix=$3
root=${2%/}
cd "$(dirname "$0")/.."

# put MODE FOLDER FILE...
put() {
    install -d "$root$2"
    install -m "$1" -t "$root$2" "${@:3}"
}

put 755 "$prefix/bin" "$binary"
scripts/said.sh "$binary" "$root$prefix/share"
put 644 "$prefix/share/ringside" deploy/rules.yml
put 644 "$prefix/share/ringside/dashboards" dashboards/grafana/*.json
scripts/docs.sh "$root$prefix/share/doc/ringside"
install -D -m 644 ebpf/LICENSE "$root$prefix/share/doc/ringside/LICENSE.ebpf"
install -D -m 644 LICENSE "$root$prefix/share/doc/ringside/copyright"
install -D -m 644 deploy/ringside.sysusers "$root$prefix/lib/sysusers.d/ringside.conf"
install -d "$root$prefix/lib/systemd/system"
sed "s|/usr/bin/ringside|$prefix/bin/ringside|; s|/usr/share/doc|$prefix/share/doc|" deploy/ringside.service \
    >"$root$prefix/lib/systemd/system/ringside.service"
[ -e "$root/etc/ringside/pipeline.toml" ] || install -D -m 644 pipeline.toml "$root/etc/ringside/pipeline.toml"

[ -n "$root" ] || cat <<END
installed. To start it now and after every boot:
    systemd-sysusers && systemctl daemon-reload && systemctl enable --now ringside
END
