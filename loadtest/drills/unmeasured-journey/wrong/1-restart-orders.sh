# fails: steady
# The new process has the same role.
"$MUSTER" restart orders || true
