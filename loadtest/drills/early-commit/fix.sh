# The release first, so that no more mails are lost; then the lost ones.
"$MUSTER" rollback email-consumer
"$MUSTER" rewind --minutes 15
