# fails: state
# No more mails are lost, but those that were lost stay lost: their events are committed.
"$MUSTER" rollback email-consumer
