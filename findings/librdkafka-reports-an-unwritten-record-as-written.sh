#!/usr/bin/env bash
# librdkafka (in confluent-kafka 2.16.1 for Python) with Apache Kafka 4.2.2: an idempotent producer and a broker that has just started.
#
# Expected: `enable.idempotence=true` and a delivery report without an error mean that the record is in the topic.
# Seen: the first two records of a producer are on their way to a partition, one request each. The broker answers the first with
# NOT_LEADER_OR_FOLLOWER, as it does while it takes its partitions over after a start, and appends the second: it knows nothing of this
# producer yet, so it takes any sequence number. librdkafka would send the first record again, but concludes from the success of the
# second that the first was written too, and reports both as delivered. The topic has the second only. (`rd_kafka_dr_implicit_ack` in
# rdkafka_broker.c: "implicitly acked by subsequent batch success".) Without idempotence, the first record is sent again and written.
#
# A proxy gives the first answer, so that it comes at that moment each time; everything else is the broker's. Needs java (17 or later),
# mvn and python3 with venv. Takes about a minute.
set -euo pipefail

work=$(mktemp -d)
broker=
finish() {
    if [ -n "$broker" ]; then kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>x</groupId><artifactId>x</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.2.2</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DoutputDirectory="$work/jars"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check confluent-kafka==2.16.1

direct=19792 controller=19793 proxy=19794
cat >broker.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=DIRECT://127.0.0.1:$direct,CONTROLLER://127.0.0.1:$controller
advertised.listeners=DIRECT://127.0.0.1:$proxy
listener.security.protocol.map=DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
log.dirs=$work/data
offsets.topic.replication.factor=1
PROPERTIES
java -cp "jars/*" kafka.tools.StorageTool format --standalone -t AAAAAAAAAAAAAAAAAAAAAA -c broker.properties >format.log 2>&1 ||
    { cat format.log; exit 1; }
java -Xmx384m -cp "jars/*" kafka.Kafka broker.properties >broker.log 2>&1 &
broker=$!

cat >unwritten.py <<'PYTHON'
"""Sends two records with and without idempotence, through a proxy that answers the first request for records itself."""

import socket
import struct
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, libversion
from confluent_kafka.admin import AdminClient, NewTopic

DIRECT, PROXY = int(sys.argv[1]), int(sys.argv[2])
NOT_LEADER_OR_FOLLOWER = 6


def read(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def refusal(request, topic):
    """The response to a request for records, in version 9 or 10 of its format, for partition 0."""
    name = topic.encode()
    partition = struct.pack(">ihqqq", 0, NOT_LEADER_OR_FOLLOWER, -1, -1, -1) + b"\x01\x00\x00"
    topics = b"\x02" + bytes([len(name) + 1]) + name + b"\x02" + partition + b"\x00"
    body = request[4:8] + b"\x00" + topics + struct.pack(">i", 0) + b"\x00"
    return struct.pack(">i", len(body)) + body


class Proxy:
    """Holds its answer to the first request for records until the second one is here, and passes on everything else."""

    def __init__(self):
        self.topic, self.n_refused = None, 0
        listener = socket.create_server(("127.0.0.1", PROXY))
        threading.Thread(target=self.accept, args=[listener], daemon=True).start()

    def accept(self, listener):
        while True:
            client = listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", DIRECT))
            threading.Thread(target=self.requests, args=[client, server], daemon=True).start()
            threading.Thread(target=self.responses, args=[client, server], daemon=True).start()

    def requests(self, client, server):
        held = None
        try:
            while True:
                size = read(client, 4)
                request = read(client, struct.unpack(">i", size)[0])
                if request[:2] == b"\x00\x00" and self.topic:
                    if held is None and self.n_refused == 0:
                        assert request[3] in (9, 10), f"version {request[3]} of the format of Produce"
                        held = request
                        continue
                    if held is not None:
                        client.sendall(refusal(held, self.topic))
                        held, self.n_refused = None, 1
                server.sendall(size + request)
        except OSError:
            server.close()

    def responses(self, client, server):
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            client.close()


def send_two(proxy, topic, idempotent):
    """Returns the records that were reported as delivered, and those in the topic."""
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{PROXY}"})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(60)
    reported = []
    producer = Producer({
        "bootstrap.servers": f"127.0.0.1:{PROXY}", "acks": "all", "enable.idempotence": idempotent,
        "linger.ms": 0, "batch.num.messages": 1,
    })
    producer.list_topics(topic, 30)
    proxy.topic, proxy.n_refused = topic, 0
    for record in ("first", "second"):
        producer.produce(topic, record, partition=0, on_delivery=lambda error, sent: error or reported.append(sent.value().decode()))
        producer.poll(0.2)
    producer.flush(30)
    assert proxy.n_refused == 1, "the proxy refused no request"
    proxy.topic = None

    consumer = Consumer({
        "bootstrap.servers": f"127.0.0.1:{PROXY}", "group.id": topic, "auto.offset.reset": "earliest", "enable.partition.eof": True,
    })
    consumer.subscribe([topic])
    written, deadline = [], time.monotonic() + 60
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error():
            break
        if message is not None:
            written.append(message.value().decode())
    consumer.close()
    return sorted(reported), sorted(written)


print("librdkafka", libversion()[0])
proxy = Proxy()
found = {}
for idempotent in (True, False):
    reported, written = send_two(proxy, f"idempotent-{idempotent}".lower(), idempotent)
    print(f"enable.idempotence={idempotent}: reported as delivered {reported}, in the topic {written}")
    found[idempotent] = (reported, written)
both = ["first", "second"]
assert found[False] == (both, both), "changed: without idempotence"
assert found[True] == (both, ["second"]), "changed: with idempotence"
PYTHON
for _ in $(seq 60); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$direct") 2>/dev/null; then break; fi
    kill -0 "$broker" || { cat broker.log; exit 1; }
    sleep 0.5
done
venv/bin/python unwritten.py "$direct" "$proxy"
