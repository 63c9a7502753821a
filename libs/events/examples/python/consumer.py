#!/usr/bin/env python3
"""Reads order events from Kafka and prints each as one line of JSON.

Settings are environment variables, with the names and the defaults that the services have.
"""

import argparse
import datetime
import itertools
import json
import os
import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:")


def main():
    arguments = parse_arguments()
    topic = os.environ.get("ORDERS_EVENTS_TOPIC", "orders.events")
    deserialize = AvroDeserializer(
        SchemaRegistryClient({**authorities("ssl.ca.location"), "url": os.environ["SCHEMA_REGISTRY_URL"], "timeout": 10}),
        # Several types share a topic, so the type is part of the subject.
        conf={"subject.name.strategy.type": "TOPIC_RECORD"},
    )
    consumer = Consumer({**connection(), **group(arguments.group)})
    consumer.subscribe([topic])
    try:
        for _ in range(arguments.count) if arguments.count else itertools.count():
            message = next_message(consumer, arguments.timeout)
            print(json.dumps(decoded(message, deserialize), default=plain), flush=True)
            # Only now: after a crash the event is delivered again.
            consumer.store_offsets(message)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", default="python-consumer", help="consumer group, whose offsets the broker keeps (default: %(default)s)")
    parser.add_argument("--count", type=int, help="exit after this number of events (default: follow the topic)")
    parser.add_argument("--timeout", type=float, help="exit with an error after this number of seconds without an event")
    return parser.parse_args()


def connection():
    """The broker: plaintext to this machine only, unless a setting says otherwise."""
    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    user = os.environ.get("KAFKA_SASL_USERNAME")
    here = all(server.strip().startswith(LOOPBACK) for server in servers.split(","))
    default = "sasl_ssl" if user else "plaintext" if here else "ssl"
    settings = {
        "bootstrap.servers": servers,
        "security.protocol": os.environ.get("KAFKA_SECURITY_PROTOCOL", default),
        **authorities("ssl.ca.location"),
    }
    if user:
        password = os.environ["KAFKA_SASL_PASSWORD"]
        settings |= {"sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": password}
    return settings


def authorities(setting):
    """A private certificate authority. Without one, the authorities of the system are trusted."""
    file = os.environ.get("TLS_EXTRA_CA_FILE")
    return {setting: file} if file else {}


def group(name):
    """At least once: an offset is committed after its event was handled."""
    return {
        "group.id": name,
        "auto.offset.reset": "earliest",
        "enable.auto.offset.store": False,
    }


def next_message(consumer, timeout):
    deadline = time.monotonic() + timeout if timeout else None
    while True:
        message = consumer.poll(1)
        if message is not None and message.error():
            raise KafkaException(message.error())
        if message is not None:
            return message
        if deadline and time.monotonic() > deadline:
            sys.exit(f"no event for {timeout:g} s")


def decoded(message, deserialize):
    """The event with its envelope, which is in the headers."""
    place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
    context = SerializationContext(message.topic(), MessageField.VALUE, message.headers())
    try:
        event = deserialize(message.value(), context)
    except SerializationError as error:
        sys.exit(f"{place}: {error}")
    headers = {name: value.decode() for name, value in message.headers() or []}
    return {**place, "key": message.key().decode(), "headers": headers, "event": event}


def plain(value):
    """JSON has no UUID and no time."""
    match value:
        case uuid.UUID():
            return str(value)
        case datetime.datetime():
            return value.isoformat()
    raise TypeError(f"{type(value)} is not JSON")


if __name__ == "__main__":
    main()
