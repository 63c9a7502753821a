# fails: steady
# It signs a new token, which is as old as the one before for a clock that is ahead.
"$MUSTER" restart email-consumer
