# fails: state
# The consumer cannot read them this time either.
"$MUSTER" dead-letters replay --all --yes
sleep 10
