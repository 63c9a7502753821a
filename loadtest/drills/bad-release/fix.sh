"$MUSTER" rollback url-shortener
