# fails: steady
# Ends the session, not the program, which connects again.
sql orders "SELECT pg_terminate_backend(a.pid, 5000) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.relation = 'stock'::regclass AND a.application_name <> 'orders' AND a.pid <> pg_backend_pid()" >/dev/null
