#!/usr/bin/env bash
# Makes a cluster with kind unless it is there, puts our images on its nodes, and makes it the one that kubectl talks to. TAG says which
# build (0.1.0).
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
