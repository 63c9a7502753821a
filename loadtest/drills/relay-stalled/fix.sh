# End the program of the session that others wait for, then check that the session has ended.
session=$(blocking_session orders)
port=${session#* }
for pid in $(programs_at "$port"); do
    kill "$pid"
done
sql orders "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = $port" >/dev/null
