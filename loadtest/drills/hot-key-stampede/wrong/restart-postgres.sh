# fails: steady
"$MUSTER" restart postgres
