# The visitors stay.
"$MUSTER" rollback url-shortener
