# fails: steady
# New events pass; those that were refused stay where they are.
kafka_configs --alter --entity-type topics --entity-name orders.events --add-config max.message.bytes=2000000
