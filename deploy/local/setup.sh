#!/usr/bin/env bash
# Installs missing requirements of the local stack and the build: Debian packages, and the jars of
# pom.xml into .muster/parts. Prints what it installs. If nothing is missing, it does nothing and needs
# no network. Starts and enables no service, and creates no database cluster.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd -- "$here/../.." && pwd)
parts=$checkout/.muster/parts
cluster_conf=/etc/postgresql-common/createcluster.conf
policy=/usr/sbin/policy-rc.d
our_policy=''
saved_conf=''
units_before=''

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null
}

java_is_recent() {
    local version
    has java && has javac || return 1
    version=$(java -version 2>&1 | sed -nE '1,3s/.*version "([0-9]+).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

parts_hash() {
    cat "$here/pom.xml" "$here/setup.sh" | sha256sum | cut -d ' ' -f 1
}

parts_are_current() {
    [ "$(cat "$parts/stamp" 2>/dev/null)" = "$(parts_hash)" ]
}

missing_packages() {
    [ -x /usr/lib/postgresql/15/bin/postgres ] || echo postgresql-15
    java_is_recent || echo openjdk-17-jdk-headless
    parts_are_current || has mvn || echo maven
    has prometheus || echo prometheus
    has prometheus-alertmanager || echo prometheus-alertmanager
    has faketime || echo faketime
    has gcc || echo gcc
    has g++ || echo g++
    has make || echo make
    has pkg-config || echo pkg-config
    [ -e /usr/include/openssl/ssl.h ] || echo libssl-dev
    python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

# Restores policy-rc.d and the configuration of postgresql-common. Runs as root, on every exit.
restore_machine() {
    if [ -n "$our_policy" ]; then rm -f "$policy"; fi
    if [ -n "$saved_conf" ]; then cp -p "$saved_conf" "$cluster_conf" && rm -f "$saved_conf"; fi
}

# Debian starts the services of new packages unless policy-rc.d forbids it. An existing file stays.
forbid_starting_services() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    our_policy=yes
}

# postgresql-15 creates a cluster "main" and starts it on port 5432 unless forbidden.
forbid_main_cluster() {
    apt_install postgresql-common
    disable_if_new postgresql
    saved_conf=$(mktemp)
    cp -p "$cluster_conf" "$saved_conf"
    printf 'create_main_cluster = false\n' >"$cluster_conf"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# Keeps a newly installed unit from starting at the next boot. The helper is Debian's, works without a
# running systemd, and needs a package name.
disable_if_new() {
    local unit
    for unit in "$@"; do
        case " $units_before " in *" $unit.service "*) continue ;; esac
        DPKG_MAINTSCRIPT_PACKAGE=$unit deb-systemd-helper disable "$unit.service"
    done
}

installed_units() {
    find /lib/systemd/system -maxdepth 1 -name '*.service' -printf '%f ' 2>/dev/null || true
}

# Needs root; called as `setup.sh install-packages NAME...`.
install_packages() {
    trap restore_machine EXIT
    units_before=$(installed_units)
    forbid_starting_services
    apt-get update -q
    case " $* " in *" postgresql-15 "*) forbid_main_cluster ;; esac
    apt_install "$@"
    disable_if_new postgresql prometheus prometheus-alertmanager
}

ensure_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -eq 0 ] && return
    has apt-get || fail "this machine has no apt-get. Install the equivalents of these Debian packages, then run 'make setup' again: ${missing[*]}"
    if [ "$(id -u)" -eq 0 ]; then
        echo "setup: installing Debian packages: ${missing[*]}"
        bash "$here/setup.sh" install-packages "${missing[@]}"
    elif has sudo && sudo -n true 2>/dev/null; then
        echo "setup: installing Debian packages: ${missing[*]}"
        sudo -n bash "$here/setup.sh" install-packages "${missing[@]}"
    else
        fail "packages are missing and this is neither root nor an account with passwordless sudo. Run this as root, then 'make setup' again:
  bash '$here/setup.sh' install-packages ${missing[*]}"
    fi
}

ensure_parts() {
    parts_are_current && return
    echo "setup: downloading Kafka, Apicurio Registry, Zipkin and GreenMail through Maven into .muster/parts"
    rm -rf "$parts"
    mkdir -p "$parts"
    mvn -B -q -C -f "$here/pom.xml" -Dparts="$parts" generate-resources ||
        fail "Maven could not download the parts (see above). Check the network or Maven's settings, then run 'make setup' again."
    parts_hash >"$parts/stamp"
}

ensure_rust() {
    has cargo || fail "no Rust toolchain found. Install Rust 1.95 or later with rustup (https://rustup.rs), open a new shell, then run 'make setup' again."
}

if [ "${1:-}" = install-packages ]; then
    shift
    install_packages "$@"
    exit
fi
ensure_rust
ensure_packages
ensure_parts
