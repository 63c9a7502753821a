"""Answers of fastavro, Avro for Python and confluent-kafka.

Reads cases.json from standard input, writes the answers to standard output. The only argument is the URL of a schema registry, where
confluent-kafka looks up the schema of the writer.
"""

import datetime
import decimal
import importlib.metadata
import io
import json
import sys
import uuid

import avro.compatibility
import avro.io
import avro.schema
import fastavro
import fastavro.schema
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

FINGERPRINT = "CRC-64-AVRO"


class FastAvro:
    """fastavro has no compatibility check."""

    package = "fastavro"

    def check(self, case):
        return None

    def read(self, case):
        datum = io.BytesIO(bytes.fromhex(case["datum"]))
        return fastavro.schemaless_reader(datum, case["writer"], case["reader"])

    def canonical(self, schema):
        form = fastavro.schema.to_parsing_canonical_form(schema)
        return {"form": form, "fingerprint": fastavro.schema.fingerprint(form, FINGERPRINT)}


class Avro:
    package = "avro"

    def check(self, case):
        checker = avro.compatibility.ReaderWriterCompatibilityChecker()
        return checker.get_compatibility(parse(case["reader"]), parse(case["writer"])).compatibility.value

    def read(self, case):
        decoder = avro.io.BinaryDecoder(io.BytesIO(bytes.fromhex(case["datum"])))
        return avro.io.DatumReader(parse(case["writer"]), parse(case["reader"])).read(decoder)

    def canonical(self, schema):
        schema = parse(schema)
        return {"form": schema.canonical_form, "fingerprint": schema.fingerprint(FINGERPRINT).hex()}


class ConfluentKafka:
    """Reads with fastavro behind Confluent's framing; its check is the registry's."""

    package = "confluent-kafka"

    def __init__(self, registry_url):
        self.registry = SchemaRegistryClient({"url": registry_url, "timeout": 10})

    def check(self, case):
        return None

    def read(self, case):
        subject = f"interop-{uuid.uuid4()}-{case['name']}"
        schema_id = self.registry.register_schema(subject, Schema(json.dumps(case["writer"]), "AVRO"))
        message = b"\0" + schema_id.to_bytes(4, "big") + bytes.fromhex(case["datum"])
        return AvroDeserializer(self.registry, json.dumps(case["reader"]))(message)

    def canonical(self, schema):
        return None


def parse(schema):
    return avro.schema.parse(json.dumps(schema))


def plain(value):
    """A value as JSON, in the same form for every implementation."""
    match value:
        case dict():
            return {name: plain(field) for name, field in value.items()}
        case bytes():
            return {"bytes": value.hex()}
        case datetime.datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case decimal.Decimal() | uuid.UUID():
            return str(value)
    return value


def read(implementation, case):
    try:
        return {"value": plain(implementation.read(case))}
    except Exception:  # Each library has errors of its own, and raises those of Python too.
        return "fails"


def answers(implementation, cases):
    return {
        "version": importlib.metadata.version(implementation.package),
        "resolution": {
            case["name"]: {
                "check": implementation.check(case),
                "read": read(implementation, case),
            }
            for case in cases["resolution"]
        },
        "canonical": {case["name"]: implementation.canonical(case["schema"]) for case in cases["canonical"]},
    }


def main():
    cases = json.load(sys.stdin)
    json.dump(
        {
            "avro (Python)": answers(Avro(), cases),
            "fastavro": answers(FastAvro(), cases),
            "confluent-kafka": answers(ConfluentKafka(sys.argv[1]), cases),
        },
        sys.stdout,
    )


main()
