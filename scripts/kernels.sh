#!/usr/bin/env bash
# Tries the steering programs on Debian's kernels of now and before, in an emulator: kernels.sh [PACKAGE...]
#
# By default those that `linux-image-cloud-amd64` (Linux 6.1) and `linux-image-6.12-cloud-amd64` stand for. Each boots with
# nothing but BusyBox and the tests of `steer` that need no netfilter: that the programs load, do what the model does, and
# keep calls, whole and in fragments, on their backends, also when another daemon takes over. No KVM and no rights are needed.
# Where emulator or kernels cannot be had it says so and ends well.
set -euo pipefail

cd "$(dirname "$0")/.."
folder=${CARGO_TARGET_DIR:-target}/kernels
patience=900

skip() {
    echo "skipped: kernels: $1" >&2
    [ -z "${RINGSIDE_SKIPPED:-}" ] || echo "kernels: $1" >>"$RINGSIDE_SKIPPED"
    exit 0
}

for tool in qemu-system-x86_64 busybox cpio xz apt-get dpkg; do
    command -v "$tool" >/dev/null || skip "$tool is missing (scripts/install-deps.sh kernels)"
done
[ "$(uname -m)" = x86_64 ] || skip "the emulator boots kernels of x86_64"

packages=("$@")
if [ ${#packages[@]} -eq 0 ]; then
    for name in linux-image-cloud-amd64 linux-image-6.12-cloud-amd64; do
        package=$(apt-cache depends "$name" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -1)
        [ -n "$package" ] || skip "apt knows no $name"
        packages+=("$package")
    done
fi
mkdir -p "$folder"
folder=$(realpath "$folder")
for package in "${packages[@]}"; do
    ls "$folder/$package"_*.deb >/dev/null 2>&1 || (cd "$folder" && apt-get --quiet download "$package") >&2 ||
        skip "$package cannot be fetched"
done

# The test binaries, as cargo has just built them.
built=$(cargo test --package steer --test program --test live --no-run --message-format=json)
binary() {
    sed -n 's/.*"name":"'"$1"'".*"executable":"\([^"]*\)".*/\1/p' <<<"$built" | tail -1
}

# What a machine of ours holds: the tools, the tests, and the captures that they read.
machine() {
    local root=$1 modules=$2 file library module
    rm -rf "$root"
    mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules,tests,usr/bin,"$PWD/steer"}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp -L "$(command -v ip || echo /usr/sbin/ip)" "$root/usr/bin/ip"
    cp "$(binary program)" "$root/tests/program"
    cp "$(binary live)" "$root/tests/live"
    cp -r testdata "$root$PWD/"
    for file in "$root"/usr/bin/* "$root"/tests/*; do
        for library in $(ldd "$file" | grep -o '/[^ ]*'); do
            mkdir -p "$root$(dirname "$library")"
            cp -L "$library" "$root$library"
        done
    done
    # In the order in which they need each other.
    for module in llc stp bridge veth tun sch_ingress cls_bpf; do
        file=$(find "$modules" -name "$module.ko*" | head -1)
        [ -n "$file" ] || continue
        cp "$file" "$root/modules/"
        case $file in *.xz) xz -d "$root/modules/$(basename "$file")" ;; esac
        echo "$module.ko" >>"$root/modules/order"
    done
    cat >"$root/init" <<'INIT'
#!/bin/busybox sh
export PATH=/usr/bin:/bin RUST_BACKTRACE=0
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
for module in $(cat /modules/order); do insmod /modules/$module; done
mkdir -p /dev/net
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
echo "kernel: $(uname -r)"
cd /tests
RINGSIDE_STEER_PACKETS=30000 ./program --nocapture --test-threads=1 verifier alike && echo "program: passed"
./live --nocapture --test-threads=1 restart:: observing:: nobody_else && echo "live: passed"
echo "finished"
poweroff -f
INIT
    chmod +x "$root/init"
    (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1)
}

failed=0
for package in "${packages[@]}"; do
    unpacked=$folder/$package
    [ -d "$unpacked" ] || dpkg -x "$(ls "$folder/$package"_*.deb | tail -1)" "$unpacked"
    machine "$folder/root" "$unpacked/lib/modules" >"$folder/initramfs"
    # `no_timer_check`: without it a kernel in an emulator may panic over its timer.
    timeout $patience qemu-system-x86_64 -accel tcg -cpu max -m 1500 -smp 2 -nographic -no-reboot -nic none \
        -kernel "$(ls "$unpacked"/boot/vmlinuz-*)" -initrd "$folder/initramfs" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check tsc=unstable init=/init" \
        </dev/null >"$folder/$package.log" 2>&1 || true
    if grep -aq '^program: passed' "$folder/$package.log" && grep -aq '^live: passed' "$folder/$package.log" &&
        ! grep -aq 'skipped: .*verifier' "$folder/$package.log"; then
        echo "$package: passed; $(grep -a -o 'verified instructions.*' "$folder/$package.log" | tr -d '\r')"
    else
        echo "$package: failed; see $folder/$package.log" >&2
        failed=1
    fi
done
exit $failed
