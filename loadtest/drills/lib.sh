# Functions for the scripts of drills. A script runs as `bash` from standard input, in the checkout, with the variables of `muster env`,
# the values that the seed selected, WORK (a scratch directory) and MUSTER (this build of muster).
set -euo pipefail

# start NAME COMMAND...: runs a command that outlives the script, with its output in WORK. Nothing else of the drill is in its command line.
start() {
    local name=$1
    shift
    env -u WORK -u MUSTER setsid nohup "$@" >"$WORK/$name.out" 2>&1 </dev/null &
    echo $! >"$WORK/$name.pid"
}

# stop NAME: ends a command of `start`, with its children; no error if it has ended.
stop() {
    local pid
    [ -f "$WORK/$1.pid" ] || return 0
    pid=$(cat "$WORK/$1.pid")
    # Its session, which `start` made, has its pid.
    pkill -TERM -s "$pid" || true
    for _ in $(seq 50); do
        pgrep -s "$pid" >/dev/null || break
        sleep 0.1
    done
    pkill -KILL -s "$pid" || true
    rm -f "$WORK/$1.pid"
}

# wait_for_file PATH: until a program of `start` has written it; fails after 30 s.
wait_for_file() {
    for _ in $(seq 300); do
        [ ! -s "$1" ] || return 0
        sleep 0.1
    done
    echo "$1 was not written within 30 s" >&2
    return 1
}

# on_cluster: whether the product runs in a cluster. There, kubectl reaches its processes, and `ps` and `ss` of this machine do not show them.
on_cluster() {
    [ "$MUSTER_TARGET" = cluster ]
}

# sql DATABASE STATEMENT: the rows, without headers.
sql() {
    psql "$1" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$2"
}

# end_sessions DATABASE APPLICATION: ends the sessions of one program.
end_sessions() {
    sql "$1" "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '$2'" >/dev/null
}

# blocking_session DATABASE: address and port of the program whose session blocks one of a service in this database. It looks for 20 s,
# because the service gives up and tries again, and the lock can be short.
blocking_session() {
    local session services="'orders', 'url-shortener', 'email-consumer'"
    for _ in $(seq 100); do
        session=$(sql "$1" "SELECT host(client_addr) || ' ' || client_port FROM pg_stat_activity WHERE application_name NOT IN ($services) AND pid IN (
            SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE datname = '$1' AND application_name IN ($services)) LIMIT 1")
        if [ -n "$session" ]; then
            echo "$session"
            return 0
        fi
        sleep 0.2
    done
    echo "no session blocks a service" >&2
    return 1
}

# programs_at PORT: the pids of the programs whose connections have this local port.
programs_at() {
    ss -tnpH "sport = :${1:?}" | grep -o 'pid=[0-9]*' | cut -d = -f 2 | sort -u
}

# roll_back_release PART PATTERN: goes back to the release before the first one that matches, also if others were deployed after it.
# PATTERN is a regular expression of awk: the name of the release, or a part of the path of its program.
roll_back_release() {
    for _ in $(seq 20); do
        "$MUSTER" deploys | awk -v part="$1" -v pattern="$2" '$1 == part && $0 ~ pattern && !/rolled back/ { found = 1 } END { exit !found }' || return 0
        "$MUSTER" rollback "$1"
    done
}

# part_pid PART: the pid of a running part.
part_pid() {
    { "$MUSTER" status || true; } | awk -v part="$1" '$1 == part && match($0, / [0-9]+ /) { print substr($0, RSTART + 1, RLENGTH - 2) }'
}

# start_client NAME DATABASE SQL: a program with the application name NAME that runs SQL on a database again and again, and connects again
# when its session ends, as programs with a retry do. In a cluster it is a deployment.
start_client() {
    local name=${1,,}
    if on_cluster; then
        kubectl apply --filename - >/dev/null <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: { name: $name }
spec:
  selector: { matchLabels: { app.kubernetes.io/name: $name } }
  template:
    metadata: { labels: { app.kubernetes.io/name: $name, app.kubernetes.io/component: batch } }
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 0
      securityContext: { runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, seccompProfile: { type: RuntimeDefault } }
      containers:
        - name: $name
          image: $(kubectl get statefulset/postgres --output 'jsonpath={.spec.template.spec.containers[0].image}')
          imagePullPolicy: IfNotPresent
          command: [sh, -c, 'while :; do printf "%s\n" "\$STATEMENTS" | psql --no-psqlrc --quiet --output /dev/null; done']
          env:
            - { name: STATEMENTS, value: $(jq --null-input --arg sql "$3" '$sql') }
            - { name: PGAPPNAME, value: $1 }
            - { name: PGHOST, value: postgres }
            - { name: PGUSER, value: postgres }
            - { name: PGDATABASE, value: $2 }
            - { name: PGPASSWORD, valueFrom: { secretKeyRef: { name: postgres, key: postgres } } }
          resources: { requests: { cpu: 10m, memory: 16Mi }, limits: { cpu: 200m, memory: 64Mi } }
          securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
YAML
        kubectl rollout status "deployment/$name" --timeout=60s >/dev/null
    else
        printf '%s\n' "$3" >"$WORK/$name.sql"
        cat >"$WORK/$name" <<'SH'
while :; do psql "$1" --no-psqlrc --quiet --output /dev/null --file "$2"; sleep 0.5; done
SH
        PGAPPNAME=$1 start "$name" bash "$WORK/$name" "$2" "$WORK/$name.sql"
    fi
}

# stop_client NAME: ends a program of `start_client`; no error if it has ended.
stop_client() {
    if on_cluster; then
        kubectl delete "deployment/${1,,}" --ignore-not-found --cascade=foreground >/dev/null
    else
        stop "${1,,}"
    fi
}

# end_program ADDRESS PORT: ends the program whose session has this address and port, and what starts it again.
end_program() {
    local app pid
    if on_cluster; then
        app=$(kubectl get pods --field-selector "status.podIP=${1:?}" --output 'jsonpath={.items[0].metadata.labels.app\.kubernetes\.io/name}')
        kubectl delete "deployment/${app:?}" --cascade=foreground
    else
        for pid in $(programs_at "$2"); do
            kill "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid"
        done
    fi
}

# stop_service SERVICE: stops it, and nothing starts it again.
stop_service() {
    local pid
    if on_cluster; then
        kubectl scale "deployment/$1" --replicas=0
    else
        pid=$(part_pid "$1")
        kill "${pid:?}"
    fi
}

# start_service SERVICE: starts a service that `stop_service` stopped; a running one stays.
start_service() {
    if on_cluster; then
        kubectl scale "deployment/$1" --replicas=2
        kubectl rollout status "deployment/$1" --timeout=120s
    else
        [ -n "$(part_pid "$1")" ] || "$MUSTER" restart "$1"
    fi
}

# metric ADMIN_URL NAME: the value of a metric without labels, as an integer.
metric() {
    curl --silent --fail --max-time 5 "$1/metrics" | awk -v name="$2" '$1 == name { printf "%d", $2 }'
}

# expire_silences [FILTER...]: ends the silences of Alertmanager that `amtool silence query` selects by these filters; all without one.
expire_silences() {
    local id
    for id in $(amtool --alertmanager.url="$ALERTMANAGER_URL" silence query --quiet "$@"); do
        amtool --alertmanager.url="$ALERTMANAGER_URL" silence expire "$id"
    done
}

# kafka_configs ARGUMENT...: Kafka's tool for settings of topics and brokers.
kafka_configs() {
    java -XX:TieredStopAtLevel=1 -cp '.muster/parts/kafka/*' kafka.admin.ConfigCommand --bootstrap-server "$KAFKA_BOOTSTRAP_SERVERS" "$@"
}

# orders_without_mail SINCE: the number of orders since a time, and of the minute before it, that are final for a while and have no mail.
orders_without_mail() {
    local final mailed
    final=$(sql orders "SELECT id FROM orders WHERE state <> 'pending' AND placed_at BETWEEN '$1'::timestamptz - interval '1 minute' AND now() - interval '10 seconds'" | sort)
    mailed=$(sql email_consumer "SELECT order_id FROM mails WHERE state = 'sent'" | sort)
    comm -23 <(echo "$final") <(echo "$mailed") | grep -c . || true
}
