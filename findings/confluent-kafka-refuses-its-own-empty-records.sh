#!/usr/bin/env bash
# confluent-kafka 2.16.1 for Python: a record without fields, written by `AvroSerializer` and read by `AvroDeserializer`.
#
# Expected: a record without fields is valid Avro (a heartbeat, say) and is written as no bytes, so its message is the five bytes of
# Confluent's framing, and the deserializer returns an empty record.
# Seen: the serializer writes these five bytes. The deserializer refuses them: it expects at least six bytes, and says that the message
# "was not produced with a Confluent Schema Registry serializer". So an event type needs a field before a consumer in Python can read it;
# a field that is added later does not help for the messages that were written before.
#
# Needs python3 with venv. Takes about half a minute.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'confluent-kafka[avro,schemaregistry]==2.16.1' fastavro==1.13.1
cat >heartbeat.py <<'PYTHON'
import importlib.metadata
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

print("confluent-kafka", importlib.metadata.version("confluent-kafka"))
# The registry that the library has for tests: in memory, in this process.
registry = SchemaRegistryClient.new_client({"url": "mock://"})
context = SerializationContext("heartbeats", MessageField.VALUE)


def round_trip(schema, record):
    message = AvroSerializer(registry, schema)(record, context)
    print("written:", message)
    return AvroDeserializer(registry)(message, context)


field = '{"type": "record", "name": "Counted", "fields": [{"name": "n", "type": "int"}]}'
assert round_trip(field, {"n": 0}) == {"n": 0}
try:
    print("read:", round_trip('{"type": "record", "name": "Heartbeat", "fields": []}', {}))
except SerializationError as error:
    print("refused:", error)
    assert "Expecting data framing of length 6 bytes" in str(error), "changed: another error"
else:
    sys.exit("changed: an empty record is read")
PYTHON
venv/bin/python heartbeat.py
