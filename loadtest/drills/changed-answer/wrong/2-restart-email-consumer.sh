# fails: steady
# It asks the same service.
"$MUSTER" restart email-consumer
