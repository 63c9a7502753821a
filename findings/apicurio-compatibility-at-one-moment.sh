#!/usr/bin/env bash
# Apicurio Registry 3.0.9, API of Confluent: clients that set the compatibility of a new subject at one moment.
#
# Expected: `PUT /config/{subject}` is idempotent (RFC 9110, section 9.2.2); eight equal ones answer 200 eight times.
# Seen: some answer 409, "A rule named 'COMPATIBILITY' already exists.", and with Confluent's client library 409 stands for an
# incompatible schema. A second PUT answers 200. So replicas that start together cannot take a 409 from here for a verdict.
#
# Needs java (17 or later), mvn and curl. Takes about a minute.
set -euo pipefail

work=$(mktemp -d)
registry=
finish() {
    if [ -n "$registry" ]; then kill "$registry" 2>/dev/null || true; wait "$registry" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

cd "$work"
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.8:copy \
    -Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all -DoutputDirectory="$work"
tar -xzf apicurio-registry-app-3.0.9-all.tar.gz

port=18999
java -Xmx256m -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port=$port -Djava.io.tmpdir="$work" \
    -jar apicurio-registry-app-3.0.9-runner.jar >registry.log 2>&1 &
registry=$!
api=http://127.0.0.1:$port/apis/ccompat/v7
for _ in $(seq 120); do
    if curl -fs "$api/subjects" >/dev/null; then break; fi
    kill -0 "$registry" || { cat registry.log; exit 1; }
    sleep 0.5
done

put() {
    curl -s -o "$2" -w '%{http_code}\n' -X PUT -H 'Content-Type: application/json' \
        -d '{"compatibility": "BACKWARD_TRANSITIVE"}' "$api/config/$1"
}

conflicts=0
for round in $(seq 40); do
    subject="subject-$round"
    curl -fs -o /dev/null -X POST -H 'Content-Type: application/json' -d '{"schema": "{\"type\": \"string\"}"}' \
        "$api/subjects/$subject/versions"
    clients=()
    for client in 1 2 3 4 5 6 7 8; do
        put "$subject" "body.$client" >"status.$client" &
        clients+=("$!")
    done
    wait "${clients[@]}"
    for client in 1 2 3 4 5 6 7 8; do
        if [ "$(cat "status.$client")" = 409 ]; then
            conflicts=$((conflicts + 1))
            cp "body.$client" conflict
        fi
    done
    [ "$(put "$subject" again)" = 200 ] || { echo "changed: a later PUT does not answer 200: $(cat again)"; exit 1; }
done

echo "Apicurio Registry 3.0.9: $conflicts of 320 equal PUTs to new subjects answered 409"
[ "$conflicts" -gt 0 ] || { echo 'changed: none answers 409'; exit 1; }
cat conflict; echo
grep -q "A rule named 'COMPATIBILITY' already exists" conflict || { echo 'changed: another message'; exit 1; }
