# Back to the defaults, which are enough for this rate.
"$MUSTER" deploy orders --release before-the-sale
