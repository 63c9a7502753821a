# fails: steady
# The program that stopped the process stops it again. If that program has died, this is the right fix.
[ "$TOOL" != died ] || exit 0
pid=$(part_pid mailbox)
[ -n "$pid" ]
kill -CONT "$pid"
