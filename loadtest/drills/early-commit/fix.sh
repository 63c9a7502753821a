# The release first, so that no more mails are lost; then the lost ones.
roll_back_release email-consumer "$RELEASE"
"$MUSTER" rewind --minutes 15
