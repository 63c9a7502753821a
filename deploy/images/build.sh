#!/usr/bin/env bash
# Builds the images of Muster with docker or podman.
#
#   build.sh programs            orders, url-shortener, email-consumer, muster; compiled in a container
#   build.sh programs prebuilt   the same from target/release, on the base of BASE
#   build.sh parts               the parts for a cluster without a registry, on the base of BASE
#   build.sh base                BASE itself, from Debian packages: for a machine without a registry
#   build.sh save DIRECTORY      every image as a tar file, for a node without a registry
#
# 'programs prebuilt' and 'parts' need podman: docker cannot be told which ignore file to use. ENGINE=podman selects it beside docker.
# TAG is the tag of the manifests (0.1.0), REPOSITORY the prefix of the names (localhost/muster).
# Two builds of one revision on one base have the same digest: an image contains no build time.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

programs=(orders url-shortener email-consumer muster)
parts=(postgres kafka registry mailbox zipkin prometheus)
engine=${ENGINE:-$(command -v docker || command -v podman)} || { echo "build.sh: neither docker nor podman is here" >&2; exit 1; }
repository=${REPOSITORY:-localhost/muster}
tag=${TAG:-0.1.0}
base=${BASE:-localhost/muster/debian:bookworm}
revision=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
reproducible=()
case $engine in *podman) reproducible=(--timestamp "$SOURCE_DATE_EPOCH" --network host) ;; esac

require_podman() {
    case $engine in *podman) return ;; esac
    echo "build.sh: $engine has no --ignorefile, which '$1' needs. Install podman, and run this again with ENGINE=podman" >&2
    exit 1
}

build_programs() {
    local program options=()
    if [ "${1:-}" = prebuilt ]; then
        require_podman 'programs prebuilt'
        options=(--build-arg "BUILDER=$base" --ignorefile deploy/images/prebuilt.ignore)
    fi
    for program in "${programs[@]}"; do
        "$engine" build "${reproducible[@]}" "${options[@]}" --file deploy/images/programs.Containerfile \
            --build-arg "PROGRAM=$program" --label "org.opencontainers.image.title=$program" \
            --label "org.opencontainers.image.version=$tag" --label "org.opencontainers.image.revision=$revision" \
            --tag "$repository/$program:$tag" .
    done
}

build_parts() {
    local part
    require_podman parts
    for part in "${parts[@]}"; do
        "$engine" build "${reproducible[@]}" --file deploy/images/parts.Containerfile --ignorefile deploy/images/parts.ignore \
            --build-arg "DEBIAN=$base" --target "$part" --tag "$repository/$part:$tag" .
    done
}

build_base() {
    local root
    root=$(mktemp -d)
    trap 'rm -rf "$root"' RETURN
    debootstrap --variant=minbase --include=ca-certificates,libssl3 bookworm "$root/debian"
    tar -C "$root/debian" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --exclude='./var/cache/apt/archives/*.deb' \
        --exclude='./var/lib/apt/lists/*' --exclude='./var/log/*' -cf "$root/debian.tar" .
    "$engine" import "$root/debian.tar" "$base"
}

save() {
    local name
    mkdir -p "$1"
    for name in "${programs[@]}" "${parts[@]}"; do
        # podman does not overwrite an existing archive.
        rm -f "$1/$name.tar"
        "$engine" save --output "$1/$name.tar" "$repository/$name:$tag"
    done
}

case ${1:-} in
    programs) build_programs "${2:-}" ;;
    parts) build_parts ;;
    base) build_base ;;
    save) save "${2:?which directory}" ;;
    *) sed -n '2,12p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac
