//! The dead-letter topic: a message that cannot be handled goes there unchanged, and says where it came from and why.

use std::{convert::Infallible, time::Duration};

use chrono::{SecondsFormat, Utc};
use events::Kafka;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use crate::{Settings, message::Received, metrics};

/// Characters of a reason that travel with a dead letter.
const MAX_REASON: usize = 1_000;

/// How often the dead letters are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// How long the broker may take for each answer that a count needs.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes dead letters.
pub(crate) struct DeadLetters {
    producer: FutureProducer,
    topic: String,
    group: String,
}

impl DeadLetters {
    pub(crate) fn new(kafka: &Kafka, settings: &Settings) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (property, value) in kafka.properties() {
            config.set(property, value);
        }
        let producer = config
            .set("acks", "all")
            // Order does not matter here, and a producer that cannot fail for good does.
            .set("enable.idempotence", "false")
            // A message of the largest size, and what a dead letter adds to it; the topic allows as much.
            .set("message.max.bytes", "2000000")
            .set("message.timeout.ms", "5000")
            .set("queue.buffering.max.messages", "1000")
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .create()?;
        Ok(Self { producer, topic: settings.dead_letter_topic.clone(), group: settings.group.clone() })
    }

    /// Returns when the broker has the dead letter: only then may the original's offset be committed.
    pub(crate) async fn send(
        &self,
        message: &Received,
        reason: &str,
        attempts: u32,
    ) -> Result<(), KafkaError> {
        let headers = self.headers(message, reason, attempts);
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&self.topic).headers(headers);
        record.key = message.key();
        record.payload = message.payload();
        self.producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
        fail_point::hit("consumer.dead_letter_sent");
        tracing::error!(
            reason,
            attempts,
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            "dead letter"
        );
        Ok(())
    }

    /// Keeps the number of dead letters measured. One that is replayed or discarded is deleted from the topic, so what the
    /// topic holds is what still waits for somebody. While the broker does not answer, the last count stands.
    pub(crate) async fn keep_counted(&self) -> Infallible {
        loop {
            let (producer, topic) = (self.producer.clone(), self.topic.clone());
            // librdkafka's calls block their thread.
            let counted = tokio::task::spawn_blocking(move || count(&producer, &topic)).await;
            match counted {
                Ok(Ok(count)) => metrics::DEAD_LETTERS.with_label_values(&[&self.topic]).set(count),
                Ok(Err(error)) => tracing::debug!(%error, "the dead letters cannot be counted"),
                Err(error) => tracing::warn!(%error, "counting the dead letters panicked"),
            }
            tokio::time::sleep(COUNT_INTERVAL).await;
        }
    }

    fn headers(&self, message: &Received, reason: &str, attempts: u32) -> OwnedHeaders {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let timestamp = message.timestamp().map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        [
            ("dead-letter-topic", message.topic().to_owned()),
            ("dead-letter-partition", message.partition().to_string()),
            ("dead-letter-offset", message.offset().to_string()),
            ("dead-letter-timestamp", timestamp.unwrap_or_default()),
            ("dead-letter-group", self.group.clone()),
            ("dead-letter-reason", reason.chars().take(MAX_REASON).collect()),
            ("dead-letter-attempts", attempts.to_string()),
            ("dead-letter-at", now),
        ]
        .iter()
        .fold(message.headers(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
    }
}

/// The messages between the first and the last offset of every partition.
fn count(producer: &FutureProducer, topic: &str) -> Result<i64, KafkaError> {
    let client = producer.client();
    let metadata = client.fetch_metadata(Some(topic), COUNT_TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    partitions
        .map(|partition| client.fetch_watermarks(topic, partition.id(), COUNT_TIMEOUT))
        .map(|watermarks| watermarks.map(|(low, high)| high - low))
        .sum()
}
