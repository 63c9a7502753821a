#!/usr/bin/env bash
# Creates a cluster with kind unless it exists, loads the images of this checkout, and selects its context for kubectl. TAG is the tag of
# the images (0.1.0).
set -euo pipefail

cluster=muster
command -v kind >/dev/null || { echo "kind.sh: kind is not here; https://kind.sigs.k8s.io says how to install it" >&2; exit 1; }
if ! kind get clusters | grep -qx "$cluster"; then
    kind create cluster --name "$cluster" --wait 120s
fi
for program in orders url-shortener email-consumer muster; do
    kind load docker-image --name "$cluster" "localhost/muster/$program:${TAG:-0.1.0}"
done
kubectl config use-context "kind-$cluster"
