# fails: steady
# Ends the transactions that wait now; the next orders open new ones, and these orders fail.
sql orders "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'orders' AND state = 'idle in transaction'" >/dev/null
