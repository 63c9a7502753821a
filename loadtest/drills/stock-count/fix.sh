# The session that has held a lock on stock for long, then its program by the port of its connection, and last the session.
port=$(sql orders "SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.relation = 'stock'::regclass AND l.granted AND a.application_name <> 'orders' AND a.xact_start < now() - interval '2 seconds' LIMIT 1")
[ -n "$port" ] || { echo "no session holds a lock on stock"; exit 1; }
pid=$(ss -tnpH "sport = :$port" | grep -o 'pid=[0-9]*' | head -n 1 | cut -d = -f 2)
[ -n "$pid" ] || { echo "no program has port $port"; exit 1; }
parent=$(ps -o ppid= -p "$pid" | tr -d ' ')
kill "$parent" "$pid"
sql orders "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = $port" >/dev/null
"$MUSTER" orders wake
