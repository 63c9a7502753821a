#!/usr/bin/env bash
# Renders the overlays into deploy/k8s/rendered, so that tests and kubectl need no Kustomize.
#
#   render.sh                  render every overlay
#   render.sh digest OVERLAY   print the digest of the sources of an overlay, as in line 2 of its rendered file
#   render.sh result OVERLAY   print the digest of the rendered text, as in line 3
#
# Kustomize is pinned, so that a rendered file changes only with its sources; Go builds it into .muster/tools.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version=v5.8.0
kustomize=.muster/tools/bin/kustomize
overlays=(kind airgapped production)

digest() {
    local sources=(deploy/k8s/base "deploy/k8s/overlays/$1")
    if [ "$1" != production ]; then
        sources+=(deploy/k8s/components deploy/monitoring/rules/production services/orders/catalogue.json)
    fi
    find "${sources[@]}" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}

result() {
    tail -n +4 "deploy/k8s/rendered/$1.yaml" | sha256sum | cut -d ' ' -f 1
}

ensure_kustomize() {
    [ -x "$kustomize" ] && return
    command -v go >/dev/null || {
        echo "render.sh: kustomize $version is built by Go, which is missing; install Go 1.24 or later" >&2
        exit 1
    }
    GOBIN=$PWD/.muster/tools/bin go install "sigs.k8s.io/kustomize/kustomize/v5@$version"
}

render() {
    local overlay manifest
    ensure_kustomize
    mkdir -p deploy/k8s/rendered
    for overlay in "${overlays[@]}"; do
        # The catalogue and the rules are outside deploy/k8s.
        manifest=$("$kustomize" build --load-restrictor LoadRestrictionsNone "deploy/k8s/overlays/$overlay")
        {
            printf '# Made by deploy/k8s/render.sh (make k8s/render); do not edit. The digests are of what it was made of, and of what follows.\n'
            printf '# sources: %s\n' "$(digest "$overlay")"
            printf '# result: %s\n' "$(sha256sum <<<"$manifest" | cut -d ' ' -f 1)"
            printf '%s\n' "$manifest"
        } >"deploy/k8s/rendered/$overlay.yaml"
    done
}

case ${1:-render} in
    render) render ;;
    digest) digest "${2:?which overlay}" ;;
    result) result "${2:?which overlay}" ;;
    *) sed -n '2,8p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac
