# fails: state
# It reads the same file again.
"$MUSTER" restart "$SERVICE"
