# fails: steady
# They exported the series before, too.
for service in orders email-consumer; do "$MUSTER" restart "$service"; done
