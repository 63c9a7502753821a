# fails: state
# Mails arrive again, and the next fault would not page.
"$MUSTER" restart email-consumer
