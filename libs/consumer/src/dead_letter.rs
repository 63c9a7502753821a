//! Dead-letter topic: takes a message that cannot be handled, unchanged, with its origin and the reason in headers.

use std::{convert::Infallible, time::Duration};

use chrono::Utc;
use rdkafka::{
    error::KafkaError,
    message::OwnedHeaders,
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use crate::{event::Event, headers, metrics};

/// Longest reason in a header, in characters.
const MAX_REASON: usize = 1_000;

/// The prefix of the headers of a dead letter.
const PREFIX: &str = "dead-letter-";

/// How often the dead letters are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Time limit for each request of a count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct DeadLetters {
    pub(crate) producer: FutureProducer,
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl DeadLetters {
    /// Returns after the acknowledgement of the broker. Commit the offset of the original only then.
    pub(crate) async fn send(&self, event: &Event, reason: &str, attempt: u32) -> Result<(), KafkaError> {
        let headers = self.headers(event, reason, attempt);
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&self.topic).headers(headers);
        record.key = event.key.as_deref();
        record.payload = event.payload.as_deref();
        self.producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
        fail_point::hit("consumer.dead_letter_sent");
        tracing::error!(
            reason,
            attempt,
            retries = event.retries,
            topic = event.origin.topic,
            partition = event.origin.partition,
            offset = event.origin.offset,
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

    fn headers(&self, event: &Event, reason: &str, attempt: u32) -> OwnedHeaders {
        let origin = &event.origin;
        let added = [
            ("topic", origin.topic.clone()),
            ("partition", origin.partition.to_string()),
            ("offset", origin.offset.to_string()),
            ("timestamp", headers::time(origin.written_at)),
            ("group", self.group.clone()),
            ("reason", reason.chars().take(MAX_REASON).collect()),
            ("attempts", attempt.to_string()),
            ("retries", event.retries.to_string()),
            ("at", headers::time(Utc::now())),
        ];
        headers::replaced(&event.headers, PREFIX, &added)
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
