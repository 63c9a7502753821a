#!/usr/bin/env bash
# Says the tag of what this checkout would build: the version and the commit, and a digest of what is not committed. A cluster that is
# given an image under a tag it has runs the one that it has, so another build needs another tag.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

tag=0.1.0-$(git rev-parse --short=12 HEAD)
changes=$(git diff --binary HEAD && git ls-files -z --others --exclude-standard | xargs -0r sha256sum)
if [ -n "$changes" ]; then
    tag+=-$(sha256sum <<<"$changes" | cut -c 1-12)
fi
printf '%s\n' "$tag"
