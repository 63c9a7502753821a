# fails: steady
"$MUSTER" restart orders
