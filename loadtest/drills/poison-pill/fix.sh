# They are no events of orders, so nothing is lost.
"$MUSTER" dead-letters list
"$MUSTER" dead-letters discard --code unreadable_payload --reason "rows written into the outbox by hand; their orders do not exist" --yes
