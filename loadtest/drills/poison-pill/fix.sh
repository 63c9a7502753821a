# They are no events of orders, so nothing is lost.
"$MUSTER" dead-letters
"$MUSTER" dead-letters --discard
