#!/bin/sh
# As the official image has it: formats the data directory (`format --ignore-formatted …`).
exec java ${KAFKA_HEAP_OPTS:-} -Dlog4j2.configurationFile=file:/opt/kafka/config/log4j2.properties \
    -cp '/opt/kafka/libs/*' kafka.tools.StorageTool "$@"
