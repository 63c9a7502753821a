//! Dead-letter topic: takes a message that cannot be handled, unchanged, with its origin and the reason in headers.

use std::{convert::Infallible, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use events::Kafka;
use rdkafka::{
    Message as _,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use crate::{client::client_config, message::Record, metrics};

/// Longest reason in a header, in characters.
const MAX_REASON: usize = 1_000;

/// How often the dead letters are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Time limit for each request of a count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct DeadLetters {
    producer: FutureProducer,
    topic: String,
    group: String,
}

impl DeadLetters {
    pub(crate) fn new(kafka: &Kafka, topic: &str, group: &str) -> Result<Self, KafkaError> {
        let producer = client_config(kafka)
            .set("acks", "all")
            // The order does not matter, and an idempotent producer can fail for good.
            .set("enable.idempotence", "false")
            // The largest message and the headers of a dead letter; the topic has the same limit.
            .set("message.max.bytes", "2000000")
            .set("message.timeout.ms", "5000")
            .set("queue.buffering.max.messages", "1000")
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "2000")
            .create()?;
        Ok(Self { producer, topic: topic.to_owned(), group: group.to_owned() })
    }

    /// Returns after the acknowledgement of the broker. Commit the offset of the original only then.
    pub(crate) async fn send(&self, message: &Record, reason: &str, attempts: u32) -> Result<(), KafkaError> {
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

    /// Counts the dead letters in the topic until dropped. A replay or a discard deletes its letter from the topic. While the
    /// broker does not answer, the gauge keeps the last count.
    pub(crate) async fn run_count(&self) -> Infallible {
        loop {
            let (producer, topic) = (self.producer.clone(), self.topic.clone());
            // librdkafka's calls block their thread.
            let counted = tokio::task::spawn_blocking(move || count(&producer, &topic)).await;
            match counted {
                Ok(Ok(count)) => metrics::DEAD_LETTERS.with_label_values(&[&self.topic]).set(count),
                Ok(Err(error)) => tracing::debug!(%error, "cannot count the dead letters"),
                Err(error) => tracing::warn!(%error, "counting the dead letters panicked"),
            }
            tokio::time::sleep(COUNT_INTERVAL).await;
        }
    }

    fn headers(&self, message: &Record, reason: &str, attempts: u32) -> OwnedHeaders {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let written = message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis);
        [
            ("dead-letter-topic", message.topic().to_owned()),
            ("dead-letter-partition", message.partition().to_string()),
            ("dead-letter-offset", message.offset().to_string()),
            ("dead-letter-timestamp", written.map(text).unwrap_or_default()),
            ("dead-letter-group", self.group.clone()),
            ("dead-letter-reason", reason.chars().take(MAX_REASON).collect()),
            ("dead-letter-attempts", attempts.to_string()),
            ("dead-letter-at", text(Utc::now())),
        ]
        .iter()
        .fold(message.headers().cloned().unwrap_or_default(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        })
    }
}

/// The number of messages between the first and the last offset of all partitions.
fn count(producer: &FutureProducer, topic: &str) -> Result<i64, KafkaError> {
    let client = producer.client();
    let metadata = client.fetch_metadata(Some(topic), COUNT_TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    partitions
        .map(|partition| client.fetch_watermarks(topic, partition.id(), COUNT_TIMEOUT))
        .map(|watermarks| watermarks.map(|(low, high)| high - low))
        .sum()
}
