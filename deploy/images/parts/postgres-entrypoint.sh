#!/bin/sh
# What the entry point of the official image does, as far as the manifests use it: makes the cluster at the first start, runs the
# scripts of /docker-entrypoint-initdb.d in it, and becomes the server.
set -eu

# The cluster is made aside and put in place whole, so that half a cluster never counts as one.
make_cluster() {
    unfinished=$PGDATA.new
    rm -rf "$unfinished"
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata "$unfinished" --username postgres --pwfile /tmp/password --encoding UTF8 --locale C.UTF-8 \
        --auth-local trust --auth-host scram-sha-256 --no-instructions
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$unfinished/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$unfinished/postgresql.conf"
    pg_ctl --pgdata "$unfinished" --wait --options "-c listen_addresses='' -c unix_socket_directories=/run/postgresql" start
    for script in /docker-entrypoint-initdb.d/*.sh; do
        PGHOST=/run/postgresql PGUSER=postgres POSTGRES_USER=postgres sh "$script"
    done
    pg_ctl --pgdata "$unfinished" --wait --mode fast stop
    mv "$unfinished" "$PGDATA"
}

if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    make_cluster
fi
# Clusters give the files of a volume to the pod's group each time they mount it, which the server takes for a danger.
if [ "$1" = postgres ]; then
    chmod 0700 "$PGDATA"
fi
exec "$@"
