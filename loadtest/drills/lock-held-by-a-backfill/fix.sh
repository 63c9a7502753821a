# Find the session that blocks, then its program by the address and port of its connection, and end the program.
session=$(blocking_session url_shortener)
end_program "${session% *}" "${session#* }"
sql url_shortener "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE client_port = ${session#* }" >/dev/null
