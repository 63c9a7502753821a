# End the silence, then look at what it hid.
expire_silences
start_service email-consumer
