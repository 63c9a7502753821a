# fails: state
# The release counts no failure as a dead letter, so there is nothing to replay.
"$MUSTER" dead-letters replay --all --yes
