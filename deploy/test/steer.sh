#!/usr/bin/env bash
# The Debian package of ringside-steer on a bare Debian under a real systemd: steer.sh [PACKAGE]
#
# debootstrap makes the system (kept in target/package-test for the next time), systemd-nspawn boots a copy of it in a
# network namespace of its own, with a BPF file system of its own; then install, steer, lose the process, break the
# configuration, stop, upgrade, remove, purge. Needs root. Takes half a minute.
set -euo pipefail

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
package=$(realpath "${1:-$(ls -t "$target"/debian/ringside-steer_*.deb | head -n 1)}")
suite=${DEBIAN_SUITE:-bookworm}
# What it holds is in the name, so that a change makes it anew.
include=systemd,systemd-sysv,iproute2
base=$(realpath "$target")/package-test/$suite,$include
work=$(mktemp -d "$(realpath "$target")/steer-test-XXXXXX")
root=$work/root

say() { echo "steer package test: $*" >&2; }
fail() {
    say "FAILED: $*"
    [ -z "${leader:-}" ] || inside journalctl --no-pager --unit ringside-steer --lines 30 >&2 || true
    exit 1
}
inside() { nsenter --target "$leader" --all "$@"; }
# await WHAT COMMAND...: until it succeeds, for 20 s.
await() {
    local what=$1 deadline=$((SECONDS + 20))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "$what: not within 20 s"
        sleep 0.1
    done
}
shows() { inside ringside-steer status | grep "$1" >/dev/null; }
main_pid() { inside systemctl show --property MainPID --value ringside-steer; }
is_another_process() { shows '^mode' && [ "$(main_pid)" != "$1" ]; }

booted=
end() {
    if [ -n "${leader:-}" ]; then
        inside systemctl poweroff >/dev/null 2>&1 || kill "$booted" 2>/dev/null || true
        wait "$booted" 2>/dev/null || true
    fi
    umount "$work/bpf" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
trap 'fail "line $LINENO"' ERR

[ "$(id -u)" -eq 0 ] || fail "it needs root"
for command in debootstrap systemd-nspawn dpkg-deb; do
    command -v $command >/dev/null || fail "$command is missing: apt-get install debootstrap systemd-container dpkg"
done

if [ ! -d "$base" ]; then
    say "debootstrap $suite (once)"
    mkdir -p "$(dirname "$base")"
    debootstrap --variant=minbase --include=$include "$suite" "$base.new" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$base.log" 2>&1 || fail "debootstrap; see $base.log"
    mv "$base.new" "$base"
fi
cp --archive --reflink=auto "$base" "$root"
cp "$package" "$root/root/steer.deb"
mkdir "$work/bpf"
# As systemd mounts it: for root alone.
mount -t bpf -o mode=0700 bpf "$work/bpf"

say "boot"
systemd-nspawn --quiet --directory="$root" --boot --private-network --register=no --keep-unit --console=pipe \
    --machine="steer-test-$$" --bind="$work/bpf:/sys/fs/bpf" --system-call-filter="bpf perf_event_open" \
    --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON </dev/null >"$work/console" 2>&1 &
booted=$!
is_up() { leader=$(pgrep --parent "$booted" | head -n 1) && inside systemctl is-system-running | grep -Eq 'running|degraded'; }
for _ in $(seq 300); do
    ! is_up 2>/dev/null || break
    sleep 0.1
done
is_up || fail "systemd does not boot here: $(tail -n 5 "$work/console")"
dpkg() { inside dpkg "$@" >>"$work/dpkg" 2>&1 || fail "dpkg $*: $(tail -n 5 "$work/dpkg")"; }
pins=/sys/fs/bpf/ringside-steer
pinned() { inside sh -c "ls $pins/v*/link-* 2>/dev/null" | wc -l; }

say "install: nothing runs until it is told"
dpkg --install /root/steer.deb
! inside systemctl is-active --quiet ringside-steer || fail "it was started"
! inside systemctl is-enabled --quiet ringside-steer || fail "it starts at boot"
inside ip link add eth0 type veth peer name other0
inside systemd-analyze verify ringside-steer.service || fail "systemd-analyze verify"

say "start: a user of its own, no capability left"
inside systemctl start ringside-steer
await "the programs on eth0" shows '^devices *eth0'
pid=$(main_pid)
status=$(inside cat "/proc/$pid/status")
[ "$(inside stat --format=%U "/proc/$pid")" = ringside-steer ] || fail "it does not run as ringside-steer"
grep -q '^CapPrm:.*0000000000000000$' <<<"$status" || fail "capabilities are still held"
grep -q '^CapBnd:.*000000c000001000$' <<<"$status" || fail "other capabilities than CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
grep -q '^Seccomp:.*2$' <<<"$status" || fail "no system call filter"
[ "$(inside stat --format='%U %a' $pins)" = "ringside-steer 700" ] || fail "the pins are not that user's alone"
[ "$(inside stat --format='%G %a' /run/ringside-steer/control.sock)" = "ringside-steer 660" ] || fail "the control socket"
inside ringside-steer check >"$work/check" || fail "check: $(cat "$work/check")"
inside ip link add veth0 type veth peer name other1
await "a device that comes later" shows '^devices *eth0 veth0'
inside ringside-steer mode active --force >/dev/null
await "active" shows '^mode *active'

say "lose the process"
inside systemctl kill --signal=KILL ringside-steer
await "another process" is_another_process "$pid"
shows '^mode *active' || fail "what was commanded is lost"

say "a wrong file"
cp "$root/etc/ringside/steer.toml" "$work/steer.toml"
echo '[[services]]' >>"$root/etc/ringside/steer.toml"
inside systemctl reload ringside-steer
await "its mistake in the status" sh -c "nsenter --target $leader --all ringside-steer status \
    --control /run/ringside-steer/control.sock | grep '^problem' >/dev/null"
cp "$work/steer.toml" "$root/etc/ringside/steer.toml"
inside systemctl reload ringside-steer
await "no mistake" sh -c "! nsenter --target $leader --all ringside-steer status | grep '^problem' >/dev/null"

say "stop: steering stays on"
inside systemctl stop ringside-steer
[ "$(pinned)" = 4 ] || fail "$(pinned) links are pinned, not two for each device"
inside systemctl start ringside-steer
await "the daemon" shows '^mode *active'

say "upgrade"
pid=$(main_pid)
dpkg --install /root/steer.deb
await "the next version" is_another_process "$pid"

say "remove: nothing is left in the kernel; purge"
dpkg --remove ringside-steer
left=$(inside ls $pins)
[ -z "$left" ] || fail "left pinned: $left"
dpkg --purge ringside-steer
left=$(inside find /etc /usr /var/lib -path /var/lib/dpkg -prune -o -path /var/lib/systemd/catalog -prune -o \
    -name '*ringside*' -print)
[ -z "$left" ] || fail "purging has left $left"
say "passed"
