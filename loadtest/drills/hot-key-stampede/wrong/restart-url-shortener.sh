# fails: steady
# Starts the same release again.
"$MUSTER" restart url-shortener
