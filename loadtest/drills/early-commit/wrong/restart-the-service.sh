# fails: state
"$MUSTER" restart email-consumer
