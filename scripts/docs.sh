#!/usr/bin/env bash
# Copies the pages of docs/ to where no repository is around them: docs.sh OUT [pictures]
#
# Links between pages stay; of links to anything else of the repository the words stay. Pictures come along if asked for, or go.
set -euo pipefail

out=$1
cd "$(dirname "$0")/.."
without='/<picture>/,/<\/picture>/d; s/!?\[([^]]*)\]\(pictures\/[^)]*\)/\1/g;'
if [ "${2:-}" = pictures ]; then
    mkdir -p "$out"
    cp -r docs/pictures "$out/"
    without=
fi
find docs -name '*.md' -o -path 'docs/collector/*.yaml' | while read -r page; do
    depth=$(dirname "${page#docs/}")
    # As many steps up as lead out of docs/.
    case $depth in
        .) up='\.\.\/' ;;
        */*) up='\.\.\/\.\.\/\.\.\/' ;;
        *) up='\.\.\/\.\.\/' ;;
    esac
    mkdir -p "$out/$depth"
    sed -E "$without s/\[([^]]*)\]\($up[^)]*\)/\1/g" "$page" >"$out/${page#docs/}"
done
