# fails: steady
# The new process waits for the same server.
"$MUSTER" restart email-consumer || true
