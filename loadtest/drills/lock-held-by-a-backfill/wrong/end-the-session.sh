# fails: steady
# Ends the session, not the program, which connects again.
sql url_shortener "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE%' AND pid <> pg_backend_pid()" >/dev/null
