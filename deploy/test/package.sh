#!/usr/bin/env bash
# The Debian package on a bare Debian under a real systemd: package.sh [PACKAGE]
#
# debootstrap makes the system (kept in target/package-test for the next time), systemd-nspawn boots a copy of it in a
# network namespace of its own; then what an operator does from Friday on: install, place calls, change the
# configuration, reload, break it, lose the process, let it read TLS, upgrade, remove, purge. Needs root. Takes a minute or two.
set -euo pipefail

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
package=$(realpath "${1:-$(ls -t "$target"/debian/ringside_*.deb | head -n 1)}")
suite=${DEBIAN_SUITE:-bookworm}
# What it holds is in the name, so that a change makes it anew.
include=systemd,systemd-sysv,openssl
base=$(realpath "$target")/package-test/$suite,$include
work=$(mktemp -d "$(realpath "$target")/package-test-XXXXXX")
root=$work/root

say() { echo "package test: $*" >&2; }
fail() {
    say "FAILED: $*"
    [ -z "${leader:-}" ] || inside journalctl --no-pager --unit ringside --lines 30 >&2 || true
    exit 1
}
# inside COMMAND...: in the booted system; on_its_net COMMAND...: a program of this host in its network.
inside() { nsenter --target "$leader" --all "$@"; }
on_its_net() { nsenter --target "$leader" --net "$@"; }
# await WHAT COMMAND...: until it succeeds, for 20 s.
await() {
    local what=$1 deadline=$((SECONDS + 20))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "$what: not within 20 s"
        sleep 0.1
    done
}
metrics() { on_its_net curl --silent --fail http://127.0.0.1:2112/metrics; }
# counted NAME NUMBER: the sum over all series of a metric is NUMBER.
counted() { metrics | awk -v name="sip_exporter_$1" -v wanted="$2" \
    '{ series = $1; sub(/\{.*/, "", series) } series == name { sum += $NF } END { exit sum != wanted }'; }
capturing() { on_its_net curl --silent --fail http://127.0.0.1:2112/health | grep '"capture":"ebpf"' >/dev/null; }
main_pid() { inside systemctl show --property MainPID --value ringside; }
is_another_process() { capturing && [ "$(main_pid)" != "$1" ]; }
# ping TRANSPORT: a keep-alive as text.
ping() {
    printf '%s\r\n' 'OPTIONS sip:a@b SIP/2.0' "Via: SIP/2.0/$1 127.0.0.1;branch=z9hG4bK$RANDOM" \
        'From: <sip:a@b>;tag=1' 'To: <sip:a@b>' "Call-ID: $RANDOM" 'CSeq: 1 OPTIONS' 'Content-Length: 0' ''
}
# hears PORT: a keep-alive to that port is counted; hears_tls: one over TLS, which is on no wire in the clear.
hears() {
    ping UDP | on_its_net bash -c "cat >/dev/udp/127.0.0.1/$1" # by cat: one datagram
    ! counted options_total 0
}
hears_tls() {
    ping TLS | inside openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:5061
    ! counted options_total 0
}
logged() { inside journalctl --unit ringside --no-pager | grep "$1" >/dev/null; }

booted=
end() {
    if [ -n "${leader:-}" ]; then
        [ -z "${callee:-}" ] || kill "$callee" 2>/dev/null || true
        inside systemctl poweroff >/dev/null 2>&1 || kill "$booted" 2>/dev/null || true
        wait "$booted" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap end EXIT
trap 'fail "line $LINENO"' ERR

[ "$(id -u)" -eq 0 ] || fail "it needs root"
for command in debootstrap systemd-nspawn sipp curl dpkg-deb; do
    command -v $command >/dev/null ||
        fail "$command is missing: apt-get install debootstrap systemd-container sip-tester curl dpkg"
done

if [ ! -d "$base" ]; then
    say "debootstrap $suite (once)"
    mkdir -p "$(dirname "$base")"
    debootstrap --variant=minbase --include=$include "$suite" "$base.new" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$base.log" 2>&1 || fail "debootstrap; see $base.log"
    mv "$base.new" "$base"
fi
cp --archive --reflink=auto "$base" "$root"
cp "$package" "$root/root/ringside.deb"

say "boot"
systemd-nspawn --quiet --directory="$root" --boot --private-network --register=no --keep-unit --console=pipe \
    --machine="ringside-test-$$" --capability=CAP_NET_RAW,CAP_BPF,CAP_PERFMON --system-call-filter="bpf perf_event_open" \
    </dev/null >"$work/console" 2>&1 &
booted=$!
is_up() { leader=$(pgrep --parent "$booted" | head -n 1) && inside systemctl is-system-running | grep -Eq 'running|degraded'; }
for _ in $(seq 300); do
    ! is_up 2>/dev/null || break
    sleep 0.1
done
is_up || fail "systemd does not boot here: $(tail -n 5 "$work/console")"

apt() { inside env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes "$@" >>"$work/apt" 2>&1 ||
    fail "apt-get $*: $(tail -n 5 "$work/apt")"; }

say "install"
apt install /root/ringside.deb
await "capture" capturing
inside systemd-analyze verify ringside.service || fail "systemd-analyze verify"
score=$(inside systemd-analyze security ringside.service --no-pager | tail -n 1)
pid=$(main_pid)
status=$(inside cat "/proc/$pid/status")
[ "$(inside stat --format=%U "/proc/$pid")" = ringside ] || fail "it does not run as ringside"
grep -q '^CapBnd:.*0000008000002000$' <<<"$status" || fail "other capabilities than CAP_NET_RAW and CAP_BPF"
grep -q '^CapPrm:.*0000000000000000$' <<<"$status" || fail "capabilities are still held while it captures"
grep -q '^Seccomp:.*2$' <<<"$status" || fail "no system call filter"
[ "$(inside systemctl is-enabled ringside)" = enabled ] || fail "it does not start at boot"

say "calls"
on_its_net sipp -sn uas -i 127.0.0.1 -p 5060 -nostdin -bg >/dev/null 2>&1 || [ $? -eq 99 ]
callee=$(on_its_net ss --no-header --udp --listening --processes 'sport = :5060' | sed -n 's/.*pid=\([0-9]*\).*/\1/p')
on_its_net sipp -sn uac -i 127.0.0.1 -p 5070 -m 10 -d 100 -nostdin 127.0.0.1:5060 >/dev/null 2>&1 || fail "sipp"
kill "$callee"
callee=
await "ten calls in the metrics" counted sdc_total 10
# As the manual says.
doctor=$(sed -n 's/^setpriv \(.*doctor.*\)/\1/p' docs/operate.md)
[ -n "$doctor" ] || fail "the manual does not say how to ask doctor"
# shellcheck disable=SC2086 # words
inside setpriv $doctor >"$work/doctor" 2>&1 || fail "doctor: $(cat "$work/doctor")"
! grep -E '^(warn|FAIL)' "$work/doctor" | grep -v 'SIP: none seen\|conntrack: ' >&2 || fail "doctor finds fault with the service's rights"

say "change, reload"
inside sed -i '0,/^#ports/s/^#ports = \[5060, 5061\]/ports = [5060, 5080]/' /etc/ringside/pipeline.toml
inside systemctl reload ringside || fail "reload"
await "the new port" hears 5080
counted sdc_total 10 || fail "the reload has lost counts"
inside sed -i 's/^ports = \[5060, 5080\]/ports = [5060, "x"]/' /etc/ringside/pipeline.toml
! inside systemctl reload ringside 2>/dev/null || fail "a wrong file is not refused by reload"
capturing || fail "a wrong file has stopped it"

say "restart with a wrong file, once and not for ever"
! inside systemctl restart ringside 2>/dev/null || await "the end" inside systemctl is-failed ringside
await "the end" inside systemctl is-failed ringside
[ "$(inside systemctl show --property NRestarts --value ringside)" = 0 ] || fail "it is tried again and again"
logged 'pipeline.toml:' || fail "the log does not name the place of the mistake"
inside sed -i 's/^ports = \[5060, "x"\]/ports = [5060, 5080]/' /etc/ringside/pipeline.toml
inside systemctl restart ringside
await "capture" capturing

say "lose the process"
pid=$(main_pid)
inside systemctl kill --signal=KILL ringside
await "another process" is_another_process "$pid"

say "TLS, with the drop-in of the manual"
inside openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout /root/key -out /root/certificate 2>/dev/null
inside systemd-run --quiet --unit=tls-peer openssl s_server -quiet -rev -port 5061 -key /root/key -cert /root/certificate
inside sed -i 's/^#tls.enabled = false/tls.enabled = true/; s/^ports = \[5060, 5080\]/ports = [5060, 5061, 5080]/' \
    /etc/ringside/pipeline.toml
inside systemctl restart --no-block ringside
await "the refusal without the rights" inside systemctl is-failed ringside
drop_in=/etc/systemd/system/ringside.service.d/override.conf
mkdir "$root$(dirname $drop_in)"
sed -n '/^# systemctl edit ringside$/,/^```$/p' docs/operate.md | grep -v '^```' >"$root$drop_in"
inside systemctl daemon-reload
inside systemctl restart ringside || fail "it does not start with the drop-in"
await "capture with the drop-in" capturing
await "SIP over TLS" hears_tls
pid=$(main_pid)
none='^CapPrm:.*0000000000000000$'
keepers=$(inside sh -c "for task in /proc/$pid/task/*; do grep -q '$none' \$task/status || cat \$task/comm; done")
[ "$keepers" = tls-attach ] || fail "capabilities are kept by: $keepers"
inside rm -r "$(dirname $drop_in)"
inside sed -i 's/^tls.enabled = true/#tls.enabled = false/; s/^ports = .*/ports = [5060, 5080]/' /etc/ringside/pipeline.toml
inside systemctl stop tls-peer
inside systemctl daemon-reload
inside systemctl restart ringside
await "capture without TLS" capturing

say "upgrade"
dpkg-deb --raw-extract "$package" "$work/next"
sed -i 's/^Version: .*/Version: 99.0-1/' "$work/next/DEBIAN/control"
echo '# the next version says more' >>"$work/next/etc/ringside/pipeline.toml"
(cd "$work/next" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -z1 --build "$work/next" "$root/root/next.deb" >/dev/null
pid=$(main_pid)
apt -o Dpkg::Options::=--force-confold install /root/next.deb
await "the next version" is_another_process "$pid"
await "the operator's port after the upgrade" hears 5080
inside grep -q '^ports = \[5060, 5080\]' /etc/ringside/pipeline.toml || fail "the upgrade has lost what the operator changed"
inside grep -q 'says more' /etc/ringside/pipeline.toml.dpkg-dist || fail "the new default is not beside it"

say "remove, purge"
apt remove ringside
! capturing || fail "it still runs"
inside test -e /etc/ringside/pipeline.toml || fail "removal has taken the configuration"
inside test ! -e /usr/bin/ringside || fail "removal has left the binary"
apt install /root/next.deb
await "capture after installing again" hears 5080
apt purge ringside
inside test ! -e /etc/ringside/pipeline.toml || fail "purging has left the configuration"
left=$(inside find /etc /usr /var/lib -path /var/lib/dpkg -prune -o -path /var/lib/systemd/catalog -prune -o \
    -name '*ringside*' -print | grep -v '^/etc/ringside' || true)
[ -z "$left" ] || fail "purging has left $left"

# But for the notices, which a tool makes that only packages need; and Debian's pages are packed.
say "'make install' brings the same files"
diff <(dpkg-deb --contents "$package" | awk '$1 !~ /^d/ { sub(/^\./, "", $6); sub(/\.gz$/, "", $6); print $6 }' |
    grep -v /THIRD-PARTY-NOTICES.txt | sort) \
    <(scripts/install.sh "$(realpath "$target")/release/ringside" "$work/installed" /usr &&
        cd "$work/installed" && find . -type f -printf '/%P\n' | sort) || fail "they differ"

say "passed. $score"
