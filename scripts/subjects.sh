#!/usr/bin/env bash
# Fails where the subject of a commit has more than 72 characters: subjects.sh
#
# Looks at the commits made since that is a rule; says nothing where their history is not at hand (an archive, a shallow
# clone).
set -euo pipefail

since=286042cd1bdf50f2482e1869d0da1bd86ee9015a
most=72

cd "$(dirname "$0")/.."
git merge-base --is-ancestor "$since" HEAD 2>/dev/null || exit 0
export LC_ALL=C.UTF-8
failed=0
while IFS= read -r subject; do
    if [ "${#subject}" -gt "$most" ]; then
        echo "subjects: ${#subject} characters, $most at most; the rest belongs into the body: $subject" >&2
        failed=1
    fi
done < <(git log --format=%s "$since..HEAD")
exit $failed
