# fails: steady
# It connects again, and is refused again.
"$MUSTER" restart email-consumer || true
