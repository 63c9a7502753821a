# The answer first, so that the events are not given up again; then the events.
roll_back_release url-shortener "$RELEASE"
"$MUSTER" dead-letters replay --all --rate 100 --yes
