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

# sql DATABASE STATEMENT: the rows, without headers.
sql() {
    psql "$1" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$2"
}

# end_sessions DATABASE APPLICATION: ends the sessions of one program.
end_sessions() {
    sql "$1" "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '$2'" >/dev/null
}

# blocking_port DATABASE: the port of the program whose session blocks one of a service in this database. It looks for 20 s, because the
# service gives up and tries again, and the lock can be short.
blocking_port() {
    local port services="'orders', 'url-shortener', 'email-consumer'"
    for _ in $(seq 100); do
        port=$(sql "$1" "SELECT client_port FROM pg_stat_activity WHERE application_name NOT IN ($services) AND pid IN (
            SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE datname = '$1' AND application_name IN ($services)) LIMIT 1")
        if [ -n "$port" ]; then
            echo "$port"
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
