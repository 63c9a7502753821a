#!/usr/bin/env bash
# Prometheus 2.42.0+ds-5+deb12u1 of Debian 12: which service discoveries are compiled in.
#
# Expected: the configuration reference of Prometheus 2.42 holds, so `kubernetes_sd_configs`, `consul_sd_configs`, `nomad_sd_configs` and
# `kuma_sd_configs` are valid fields. An empty list of any discovery is a valid configuration.
# Seen: `promtool check config` refuses these four as "field … not found in type config.ScrapeConfig", the words for a misspelt field,
# while ec2, gce, azure, openstack, docker, dns, file and http are accepted. `prometheus --version` names no build tag.
# So a configuration for Kubernetes that works with the upstream binary does not load here; `file_sd_configs` is the way that works in both.
#
# Needs apt-get and dpkg-deb. Takes seconds.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq prometheus=2.42.0+ds-5+deb12u1 2>/dev/null
dpkg-deb -x prometheus_*.deb .

./usr/bin/prometheus --version 2>&1 | head -n 1
accepted() {
    printf 'scrape_configs:\n  - job_name: a\n    %s_sd_configs: []\n' "$1" >config.yml
    ./usr/bin/promtool check config config.yml >output 2>&1
}
for name in ec2 gce azure openstack docker dns file http; do
    accepted "$name" || { echo "$name is refused now: $(cat output)"; exit 1; }
done
for name in kubernetes consul nomad kuma; do
    if accepted "$name"; then echo "$name is accepted now"; exit 1; fi
    grep -q "field ${name}_sd_configs not found in type config.ScrapeConfig" output || { cat output; exit 1; }
    grep "not found" output
done
