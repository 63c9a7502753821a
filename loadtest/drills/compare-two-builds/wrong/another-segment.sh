# fails: state
"$MUSTER" drill answer --choice "$SLOW-new-orders" --component orders --kind change --cause regression-in-a-release
