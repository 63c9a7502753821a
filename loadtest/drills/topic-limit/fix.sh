# First the limit, then the events: in the other order the broker refuses them again.
kafka_configs --alter --entity-type topics --entity-name orders.events --add-config max.message.bytes=2000000
sql orders "SELECT outbox_requeue()"
