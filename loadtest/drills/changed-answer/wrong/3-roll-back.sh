# fails: state
# New mails leave. Those that were given up do not: no consumer tries them again.
"$MUSTER" rollback url-shortener
