# End the silence, then look at what it hid.
expire_silences
"$MUSTER" restart email-consumer
