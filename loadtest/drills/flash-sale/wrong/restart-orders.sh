# fails: replay
"$MUSTER" restart orders
