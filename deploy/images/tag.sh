#!/usr/bin/env bash
# Prints the tag for a build of this checkout: version, commit, and a digest of uncommitted changes. A node keeps the image that it has
# under a tag, so another build needs another tag.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

tag=0.1.0-$(git rev-parse --short=12 HEAD)
changes=$(git diff --binary HEAD && git ls-files -z --others --exclude-standard | xargs -0r sha256sum)
if [ -n "$changes" ]; then
    tag+=-$(sha256sum <<<"$changes" | cut -c 1-12)
fi
printf '%s\n' "$tag"
