//! The producer of retries and dead letters.

use events::Kafka;
use rdkafka::{error::KafkaError, producer::FutureProducer};

use crate::client::client_config;

/// Makes the producer. Its limits hold for the largest message and the headers that are added to it; the topics have the same limit.
pub(crate) fn create(kafka: &Kafka) -> Result<FutureProducer, KafkaError> {
    client_config(kafka)
        .set("acks", "all")
        // The order does not matter, and an idempotent producer can fail for good.
        .set("enable.idempotence", "false")
        .set("message.max.bytes", "2000000")
        .set("message.timeout.ms", "5000")
        .set("queue.buffering.max.messages", "1000")
        .set("socket.timeout.ms", "5000")
        .set("reconnect.backoff.max.ms", "2000")
        .create()
}
