# First the program that stops the process, if it still runs; then the process continues where it was, with everything that it holds.
stop copy
pid=$(part_pid mailbox)
[ -n "$pid" ]
kill -CONT "$pid"
