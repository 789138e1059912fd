#!/usr/bin/env bash
# Installs what is missing on Debian, and only that: install-deps.sh run|test|load|package|pictures...
#
#   run       what building and starting ringside needs
#   test      what the tests need besides
#   load      what measuring under load needs besides
#   package   what the test of the package needs besides
#   pictures  what drawing the pictures of the documentation needs besides
#
# Asks nothing, starts no service, and does nothing at all (no `apt-get update` either) when all is there.
set -euo pipefail

packages=()

# need COMMAND-OR-FILE PACKAGE
need() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac || packages+=("$2")
}

for purpose in "${@:?usage: install-deps.sh run|test|load|package|pictures...}"; do
    case $purpose in
        run)
            need clang clang                      # the eBPF program
            need llvm-strip llvm                  # its debug sections
            need cc gcc                           # Rust's linker
            need /usr/include/stdlib.h libc6-dev
            need /usr/include/linux/bpf.h linux-libc-dev
            need curl curl                        # rustup, where Rust is missing
            need /etc/ssl/certs/ca-certificates.crt ca-certificates
            ;;
        test)
            need sipp sip-tester                  # SIP callers and callees
            need kamailio kamailio                # a real proxy
            need "$(echo /usr/lib/*/kamailio/modules/tls.so)" kamailio-tls-modules
            need openssl openssl                  # certificates
            need python3 python3                  # peers that speak TLS
            need prometheus prometheus            # with promtool
            need victoria-metrics victoria-metrics
            need tshark tshark                    # a second opinion on captures
            need ip iproute2                      # links between network namespaces
            need setpriv util-linux
            need chromium chromium                # the console as a reader sees it
            need node nodejs
            need npm npm
            ;;
        load)
            need tcpreplay tcpreplay              # a capture onto a cable, at any rate
            need tcpdump tcpdump                  # a reader to compare with
            need taskset util-linux
            ;;
        package)
            need debootstrap debootstrap          # a bare Debian
            need systemd-nspawn systemd-container # to boot it
            ;;
        pictures)
            need chromium chromium                # what a reader sees
            need node nodejs
            need npm npm
            need script bsdutils                  # a terminal for the ladder
            ;;
        *) echo "install-deps: unknown purpose '$purpose'" >&2; exit 2 ;;
    esac
done

[ ${#packages[@]} -gt 0 ] || exit 0
echo "install-deps: installing ${packages[*]}" >&2

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps: not root and no sudo here; as root: apt-get install ${packages[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
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
