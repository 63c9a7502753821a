#!/bin/sh
# As the official image has it: becomes the broker of the configuration file that is given.
exec java ${KAFKA_HEAP_OPTS:-} -Dlog4j2.configurationFile=file:/opt/kafka/config/log4j2.properties \
    -cp '/opt/kafka/libs/*' kafka.Kafka "$@"
