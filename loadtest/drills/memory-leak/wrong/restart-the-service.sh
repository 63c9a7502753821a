# fails: state
# The memory is empty after a restart, and grows again.
"$MUSTER" restart url-shortener
