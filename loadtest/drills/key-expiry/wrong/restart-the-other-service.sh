# fails: state
for service in orders url-shortener email-consumer; do [ "$service" = "$SERVICE" ] || "$MUSTER" restart "$service"; done
