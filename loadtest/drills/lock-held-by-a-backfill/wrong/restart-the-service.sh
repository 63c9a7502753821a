# fails: steady
"$MUSTER" restart url-shortener
