#!/usr/bin/env bash
# Renders the overlays into deploy/k8s/rendered, where they are read, tested and applied without any tool but kubectl.
#
#   render.sh                  render every overlay
#   render.sh digest OVERLAY   the digest of what an overlay is made of, as its rendered file begins with it
#   render.sh result OVERLAY   the digest of what was made of it, as its rendered file has it next
#
# Kustomize is one version, so that a change of a rendered file is a change of a manifest: built by Go into .muster/tools.
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
        echo "render.sh: kustomize $version is built by Go, which is not here; install Go 1.24 or later" >&2
        exit 1
    }
    GOBIN=$PWD/.muster/tools/bin go install "sigs.k8s.io/kustomize/kustomize/v5@$version"
}

render() {
    local overlay manifest
    ensure_kustomize
    mkdir -p deploy/k8s/rendered
    for overlay in "${overlays[@]}"; do
        # The catalogue of the demonstration lies with the order service, the rules with the objectives.
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
