# Stop the caller with the most connections; the rest recovers without help.
port=${ORDERS_URL##*:}
pid=$(ss -tnpH "dport = :${port:?}" | grep python3 | grep -o 'pid=[0-9]*' | cut -d = -f 2 | sort | uniq -c | sort -n | awk 'END { print $2 }')
kill "${pid:?}"
