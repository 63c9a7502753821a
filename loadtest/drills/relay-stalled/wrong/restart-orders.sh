# fails: steady
# The new process needs the same row.
"$MUSTER" restart orders
