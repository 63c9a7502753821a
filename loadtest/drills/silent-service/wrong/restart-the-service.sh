# fails: steady
# It is ended again within seconds.
"$MUSTER" restart url-shortener || true
