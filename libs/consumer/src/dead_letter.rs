//! Dead-letter topic: takes a message that cannot be handled, unchanged, with its origin and the reason in headers.

use std::time::Duration;

use chrono::Utc;
use rdkafka::{
    error::KafkaError,
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord},
};

use crate::{event::Event, headers, metrics};

/// Longest reason in a header, in characters.
const MAX_REASON: usize = 1_000;

/// The prefix of the headers of a dead letter.
const PREFIX: &str = "dead-letter-";

pub(crate) struct DeadLetters {
    pub(crate) producer: FutureProducer,
    /// `None`: dead letters are dropped.
    pub(crate) topic: Option<String>,
    pub(crate) group: String,
}

impl DeadLetters {
    /// Returns after the acknowledgement of the broker, or at once without a topic. Commit the offset of the original only then.
    pub(crate) async fn send(
        &self,
        event: &Event,
        code: &'static str,
        reason: &str,
        attempt: u32,
    ) -> Result<(), KafkaError> {
        if let Some(topic) = &self.topic {
            let headers = self.headers(event, code, reason, attempt);
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).headers(headers);
            record.key = event.key.as_deref();
            record.payload = event.payload.as_deref();
            self.producer.send(record, Duration::from_secs(5)).await.map_err(|(error, _)| error)?;
            fail_point::hit("consumer.dead_letter_sent");
            metrics::NEW_DEAD_LETTERS.with_label_values(&[topic.as_str(), code]).inc();
        }
        tracing::error!(
            code,
            reason,
            attempt,
            retries = event.retries,
            topic = event.origin.topic,
            partition = event.origin.partition,
            offset = event.origin.offset,
            "{}",
            if self.topic.is_some() { "dead letter" } else { "message dropped, it cannot be handled" }
        );
        Ok(())
    }

    fn headers(&self, event: &Event, code: &str, reason: &str, attempt: u32) -> OwnedHeaders {
        let origin = &event.origin;
        let added = [
            ("topic", origin.topic.clone()),
            ("partition", origin.partition.to_string()),
            ("offset", origin.offset.to_string()),
            ("timestamp", headers::time(origin.written_at)),
            ("group", self.group.clone()),
            ("code", code.to_owned()),
            ("reason", reason.chars().take(MAX_REASON).collect()),
            ("attempts", attempt.to_string()),
            ("retries", event.retries.to_string()),
            ("at", headers::time(Utc::now())),
        ];
        headers::replaced(&event.headers, PREFIX, &added)
    }
}
