# fails: state
if [ "$SLOW" = blue ]; then other=green; else other=blue; fi
"$MUSTER" drill answer --choice "$other-$SEGMENT" --component orders --kind change --cause regression-in-a-release
