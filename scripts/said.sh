#!/usr/bin/env bash
# Manual pages and completions, as the binary says them of itself, where a system looks for them: said.sh BINARY SHARE
#
# SHARE is the folder `share` of a prefix, such as /usr/share.
set -euo pipefail

binary=$1
share=$2
install -d "$share/man/man1"
"$binary" man --output "$share/man/man1"
# completion SHELL FILE
completion() {
    install -d "$(dirname "$share/$2")"
    "$binary" completions "$1" >"$share/$2"
}
completion bash bash-completion/completions/ringside
completion zsh zsh/site-functions/_ringside
completion fish fish/vendor_completions.d/ringside.fish
