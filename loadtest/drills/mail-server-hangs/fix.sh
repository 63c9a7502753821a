# It was stopped by a signal: it continues where it was, with everything that it holds.
pid=$(part_pid mailbox)
[ -n "$pid" ]
kill -CONT "$pid"
