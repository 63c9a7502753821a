# fails: steady
# It loads the same file.
"$MUSTER" restart url-shortener
