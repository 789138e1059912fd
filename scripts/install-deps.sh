#!/usr/bin/env bash
# Installs what is missing on Debian, and only that: install-deps.sh PURPOSE...
#
#   run       what building and starting ringside needs
#   unit      what unit and in-process tests need: that, and room for them
#   test      what all tests need besides `run`
#   load      what measuring under load needs besides
#   dist      what making everything that is released needs besides
#   image     what making container images needs besides
#   package   what the test of the packages needs besides
#   pictures  what drawing the pictures of the documentation needs besides
#   kernels   what trying other kernels needs besides
#
# Asks nothing, starts no service, and does nothing at all (no `apt-get update` either) when all is there. Otherwise it says
# first what is missing and for what, whose rights it takes, how long and how large it is.
set -euo pipefail

packages=()
missing=()
cd "$(dirname "$0")/.."

# need COMMAND-OR-FILE PACKAGE WHAT-FOR
need() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac || { packages+=("$2"); missing+=("$2: $3"); }
}

# What installing and building takes, told where anything is missing.
room=()

building() {
    need clang clang "the eBPF program"
    need llvm-strip llvm "its debug sections"
    need cc gcc "Rust's linker"
    need /usr/include/stdlib.h libc6-dev "what is linked"
    need /usr/include/linux/bpf.h linux-libc-dev "the eBPF program's headers"
    need curl curl "rustup, where Rust is missing"
    need /etc/ssl/certs/ca-certificates.crt ca-certificates "downloads"
    scripts/ensure-rust.sh --check || missing+=("Rust, by rustup into \$HOME: the build; 1 GB")
}

for purpose in "${@:?usage: install-deps.sh run|unit|test|load|dist|image|package|pictures|kernels...}"; do
    case $purpose in
        run)
            building
            room+=("compiler and build: 1 GB of packages, 1 GB below target/, 5 minutes on two cores")
            ;;
        unit)
            building
            room+=("compiler and build: 1 GB of packages, 3 GB below target/, 5 minutes on two cores")
            ;;
        test)
            need sipp sip-tester "SIP callers and callees"
            need kamailio kamailio "a real proxy"
            need "$(echo /usr/lib/*/kamailio/modules/tls.so)" kamailio-tls-modules "the same over TLS"
            need openssl openssl "certificates"
            need python3 python3 "peers that speak TLS"
            need prometheus prometheus "a scraper, and promtool for the alerts"
            need victoria-metrics victoria-metrics "a store that takes OTLP"
            need tshark tshark "a second opinion on captures"
            need tmux tmux "a terminal for ringside watch"
            need iptables iptables "a node that translates"
            need conntrack conntrack "what such a node remembers"
            need tcpdump tcpdump "a capture of it"
            need ip iproute2 "links between network namespaces"
            need baresip baresip-core "phones with voice"
            need rtpengine rtpengine-daemon "a relay of media"
            need nft nftables "loss on the way, and a node that translates"
            need ethtool ethtool "what devices do to packets"
            need setpriv util-linux "an ordinary user's rights"
            need chromium chromium "the console as a reader sees it"
            need node nodejs "what drives it"
            need npm npm "what installs that"
            [ -e integration/browser/node_modules/playwright-core ] ||
                missing+=("playwright-core, by npm into integration/browser: what drives Chromium; 10 MB")
            room+=("peers and tests: 1 GB of packages, 5 GB below target/, 15 minutes on two cores")
            room+=("the live tests need root, or are skipped; with Go here a Collector is built once, for 3 minutes")
            ;;
        load)
            need tcpreplay tcpreplay "a capture onto a cable, at any rate"
            need tcpdump tcpdump "a reader to compare with"
            need taskset util-linux "a core for each"
            ;;
        dist)
            need dpkg-deb dpkg "packages for Debian"
            need zstd zstd "archives"
            ;;
        image)
            need buildah buildah "container images"
            need setcap libcap2-bin "their rights"
            ;;
        package)
            need rpm rpm "a reader of packages for the family of Red Hat"
            need rpmlint rpmlint "what its distributions mind"
            need debootstrap debootstrap "a bare Debian"
            need systemd-nspawn systemd-container "to boot it"
            ;;
        pictures)
            need chromium chromium "what a reader sees"
            need node nodejs "what drives it"
            need npm npm "what installs that"
            need script bsdutils "a terminal for the ladder"
            ;;
        kernels)
            need qemu-system-x86_64 qemu-system-x86 "an emulator"
            need busybox busybox-static "a system that fits into memory"
            need cpio cpio "what packs it"
            need xz xz-utils "modules of kernels"
            need ip iproute2 "links between network namespaces"
            ;;
        *) echo "install-deps: unknown purpose '$purpose'" >&2; exit 2 ;;
    esac
done

[ ${#missing[@]} -gt 0 ] || exit 0
{
    echo "install-deps: this machine lacks, for 'make' to install:"
    printf '    %s\n' "${missing[@]}"
    [ ${#room[@]} -eq 0 ] || printf 'roughly: %s\n' "${room[@]}"
} >&2
[ ${#packages[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps: not root and no sudo here; as root: apt-get install ${packages[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
    echo "install-deps: apt-get runs as root, by sudo" >&2
fi
if ! command -v apt-get >/dev/null; then
    echo "install-deps: no apt-get here; install by your own means: ${packages[*]}" >&2
    exit 1
fi

services=()
for package in "${packages[@]}"; do
    case $package in kamailio | prometheus | victoria-metrics) services+=("$package") ;; esac
done

# A freshly installed proxy or Prometheus must not start serving this machine (policy-rc.d: Debian's way to say so).
policy=/usr/sbin/policy-rc.d
if [ ${#services[@]} -gt 0 ] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes)
"${apt[@]}" update >&2
"${apt[@]}" install --no-install-recommends "${packages[@]}" >&2
# Nor after the next boot.
if [ ${#services[@]} -gt 0 ] && command -v systemctl >/dev/null; then
    "${as_root[@]}" systemctl disable --quiet "${services[@]}" || true
fi
