# Find the session that blocks, then its program by the port of its connection, and end the program.
port=$(blocking_port url_shortener)
for pid in $(programs_at "$port"); do
    kill "$(ps -o ppid= -p "$pid" | tr -d ' ')" "$pid"
done
sql url_shortener "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = $port" >/dev/null
