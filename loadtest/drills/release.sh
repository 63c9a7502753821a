#!/usr/bin/env bash
# release.sh SERVICE PATCHFILE: builds a service with a patch and prints the path of the program, .muster/releases/ID/SERVICE.
#
# ID is a hash of sources and patch: the second call with both unchanged builds nothing. The sources are those of the checkout, with
# uncommitted changes. They are patched and built in .muster/releases, never in the checkout. The profile is that of MUSTER, or debug.
set -euo pipefail

service=$1
patch=$(realpath "$2")
cd "$(dirname "$0")/../.."
checkout=$PWD
profile=$(basename "$(dirname "${MUSTER:-target/debug/muster}")")
base=$checkout/.muster/releases
mkdir -p "$base"
exec 9>"$base/lock"
flock --timeout 1800 9

# The files that cargo reads. A tracked file that is deleted and not committed is no source.
sources() {
    git ls-files -z --cached --others --exclude-standard -- Cargo.toml Cargo.lock libs services deploy loadtest docs/errors docs/versioning.md \
        ':!loadtest/drills' ':!loadtest/scenarios' |
        while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done
}

id=$({ sources | sort -z | xargs -0 sha256sum; cat "$patch"; echo "$profile"; } | sha256sum | cut -c 1-10)
program=$base/$id/$service
if [ -x "$program" ]; then
    echo "$program"
    exit 0
fi

# The times of files are kept, so that cargo builds only what differs from the checkout. The files of the last patch are the exception:
# they are back to a version that is older than its build.
rm -rf "$base/src"
mkdir "$base/src"
sources | xargs -0 cp -p --parents -t "$base/src"
cd "$base/src"
if [ -f "$base/patched" ]; then
    while read -r file; do [ ! -f "$file" ] || touch "$file"; done <"$base/patched"
fi
# Without a repository: git would look for the files in the one around it.
export GIT_CEILING_DIRECTORIES=$base
git apply --numstat "$patch" | cut -f 3 >"$base/patched"
git apply "$patch"

# The first build starts from the results of the checkout: libraries are hard links, small files that cargo writes in place are copies.
built=$base/target/$profile
if [ ! -d "$built" ]; then
    seed=$checkout/target/$profile
    rm -rf "$built.new"
    mkdir -p "$built.new/deps"
    find "$seed/deps" -maxdepth 1 -type f \( -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' \) -print0 |
        xargs -0 -r cp -l -t "$built.new/deps"
    find "$seed/deps" -maxdepth 1 -type f -name '*.d' -print0 | xargs -0 -r cp -p -t "$built.new/deps"
    cp -a "$seed/.fingerprint" "$seed/build" "$built.new"
    mv "$built.new" "$built"
fi

# The same set of features as `make build`: that of the whole workspace.
flags=(--locked --quiet --workspace --bin "$service")
[ "$profile" = debug ] || flags+=(--profile "$profile")
# At the lowest priority: a stack under load may run beside it.
CARGO_TARGET_DIR=$base/target CARGO_INCREMENTAL=0 nice -n 19 cargo build "${flags[@]}" >&2
mkdir -p "$base/$id"
cp "$built/$service" "$program.new"
mv "$program.new" "$program"
echo "$program"
