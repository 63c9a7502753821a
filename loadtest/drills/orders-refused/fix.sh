# Without the quota. Orders are accepted again by themselves.
kafka_configs --alter --entity-type clients --entity-default --delete-config producer_byte_rate
