# The session that has held a lock on stock for long, then its program by the address and port of its connection, and last the session.
session=$(sql orders "SELECT host(a.client_addr) || ' ' || a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.relation = 'stock'::regclass AND l.granted AND a.application_name <> 'orders' AND a.xact_start < now() - interval '2 seconds' LIMIT 1")
[ -n "$session" ] || { echo "no session holds a lock on stock"; exit 1; }
end_program "${session% *}" "${session#* }"
sql orders "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = ${session#* }" >/dev/null
"$MUSTER" orders wake
