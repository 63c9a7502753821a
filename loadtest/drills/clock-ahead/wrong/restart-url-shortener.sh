# fails: steady
# It starts on the same host.
"$MUSTER" restart url-shortener
