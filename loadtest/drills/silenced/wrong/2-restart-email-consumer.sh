# fails: state
# Mails arrive again, and the next fault would not page.
start_service email-consumer
