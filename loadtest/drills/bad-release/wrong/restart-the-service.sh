# fails: steady
# A restart starts the current release again.
"$MUSTER" restart url-shortener
