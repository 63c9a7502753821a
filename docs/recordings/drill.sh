#!/usr/bin/env bash
# Plays one drill as a person would, for `make recording`: the commands are those of docs/runbooks/RedirectsLatencyBurn.md and of the section
# "A session that blocks". Pids and ports are read from the output of the command before, as a person reads them.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
PATH=$PWD/target/debug:$PATH

# run COMMAND: types it, runs it, and leaves time to read.
run() {
    printf '\e[1;32mon call $\e[0m '
    for ((i = 0; i < ${#1}; i++)); do
        printf %s "${1:i:1}"
        sleep 0.02
    done
    printf '\n'
    eval "$1"
    printf '\n'
    sleep 2
}

# think TEXT: what the responder concludes.
think() {
    printf '\e[36m# %s\e[0m\n' "$1"
    sleep 2
}

run 'muster drill start lock-held-by-a-backfill --seed 7'
until muster pager | grep -q PAGE; do sleep 0.5; done
run 'muster pager'
run 'muster pager ack'

think 'The runbook: docs/runbooks/RedirectsLatencyBurn.md. What changed last?'
run 'eval "$(muster env)"; muster deploys'
think 'No release. Is it the database?'
run "promtool query instant \"\$PROMETHEUS_URL\" 'topk(3, histogram_quantile(0.99, sum by (transaction, le) (rate(pg_transaction_duration_seconds_bucket{job=\"url-shortener\"}[1m]))))'"
think 'Its transactions are as slow as the redirects. Who blocks them? Several looks, because a lock can be short.'
look="SELECT pid, application_name, client_port, wait_event_type AS waits_for, pg_blocking_pids(pid) AS blocked_by, left(split_part(query, chr(10), 1), 40) AS query FROM pg_stat_activity WHERE datname = 'url_shortener' AND state <> 'idle' ORDER BY xact_start LIMIT 4"
for _ in $(seq 60); do
    found=$(psql url_shortener -Atc "SELECT client_port FROM pg_stat_activity WHERE application_name <> 'url-shortener' AND pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE application_name = 'url-shortener') LIMIT 1")
    [ -z "$found" ] || break
    sleep 0.2
done
run "psql url_shortener -c \"$look\""
think "A session that is no service's locks the whole table. Which program has client_port $found?"
run "ss -tnp 'sport = :$found'"
pid=$(ss -tnpH "sport = :$found" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d = -f 2)
run "ps -o pid,ppid,args -p $pid"
parent=$(ps -o ppid= -p "$pid" | tr -d ' ')
think 'Its parent starts it again, so that one ends first.'
run "kill $parent $pid"
run "psql postgres -Atc \"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = $found\""

think 'Verification: the ratio of slow redirects falls to 0.'
for _ in $(seq 60); do
    [ "$(psql url_shortener -Atc "SELECT count(*) FROM pg_locks WHERE NOT granted")" != 0 ] || break
    sleep 0.5
done
sleep 10
run "promtool query instant \"\$PROMETHEUS_URL\" 'slo:error_ratio:rate5m{service=\"url-shortener\", slo=\"redirects-latency\"}'"
run 'muster drill answer --component postgresql --kind contention --cause lock-held-by-a-session'
run 'muster drill fixed'
