# fails: steady
# The same answer again: the events come back.
"$MUSTER" dead-letters replay --all --yes
