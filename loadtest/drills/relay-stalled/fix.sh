# End the program of the session that others wait for, then check that the session has ended.
# The relay tries, gives up after three seconds, and pauses: look more than once.
for _ in $(seq 100); do
    port=$(sql orders "SELECT client_port FROM pg_stat_activity WHERE state = 'idle in transaction' AND pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE datname = 'orders') LIMIT 1")
    [ -z "$port" ] || break
    sleep 0.2
done
[ -n "$port" ] || { echo "no session blocks another one"; exit 1; }
for pid in $(ss -tnpH "sport = :$port" | grep -o 'pid=[0-9]*' | cut -d = -f 2 | sort -u); do
    kill "$pid"
done
sql orders "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = $port" >/dev/null
