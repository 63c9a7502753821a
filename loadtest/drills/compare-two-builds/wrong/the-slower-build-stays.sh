# fails: state
# The right answer, and the wrong build is left deployed.
"$MUSTER" deploy orders --program ".muster/builds/$SLOW/orders" --release "$SLOW"
"$MUSTER" drill answer --choice "$SLOW-$SEGMENT" --component orders --kind change --cause regression-in-a-release
