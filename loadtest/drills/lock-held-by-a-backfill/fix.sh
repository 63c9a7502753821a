# Find the session that blocks, then its program by the port of its connection, and end the program.
for _ in $(seq 40); do
    port=$(sql url_shortener "SELECT client_port FROM pg_stat_activity WHERE pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE application_name = 'url-shortener') AND application_name <> 'url-shortener' LIMIT 1")
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || { echo "no session blocks another one"; exit 1; }
pid=$(ss -tnpH "sport = :$port" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d = -f 2)
parent=$(ps -o ppid= -p "$pid" | tr -d ' ')
kill "$parent" "$pid"
sql url_shortener "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = $port" >/dev/null
