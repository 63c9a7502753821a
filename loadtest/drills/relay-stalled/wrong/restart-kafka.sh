# fails: steady
"$MUSTER" restart kafka
