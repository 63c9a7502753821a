# fails: state
# A restart closes all of them, and the next requests open others.
"$MUSTER" restart url-shortener
