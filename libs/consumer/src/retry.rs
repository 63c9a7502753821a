//! Retry topics: one for each delay. An event waits in them without its topic waiting for it.

use std::time::Duration;

use chrono::Utc;
use rdkafka::{
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
};

use crate::{event::Event, headers, metrics};

/// Time limit for the acknowledgement of a broker.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A retry topic and its delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The topic. It belongs to one consumer group and has as many partitions as the topic of the events.
    pub topic: String,
    /// The time between a failed attempt and the next one.
    pub delay: Duration,
}

/// Sends events to the retry topics.
pub(crate) struct Retries {
    pub(crate) producer: FutureProducer,
    /// In the order in which an event goes through them.
    pub(crate) topics: Vec<Retry>,
}

impl Retries {
    /// The retry topic of an event that has been in `retries` of them; `None` after the last one.
    pub(crate) fn after(&self, retries: usize) -> Option<&Retry> {
        self.topics.get(retries)
    }

    /// The longest delay.
    pub(crate) fn longest_delay(&self) -> Duration {
        self.topics.iter().map(|retry| retry.delay).max().unwrap_or_default()
    }

    /// Returns after the acknowledgement of the broker. `retries` includes this one.
    pub(crate) async fn send(&self, retry: &Retry, event: &Event, retries: usize) -> Result<(), KafkaError> {
        let not_before = Utc::now() + retry.delay;
        let headers = headers::with_retry(&event.headers, &event.origin, retries, not_before);
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&retry.topic).headers(headers);
        record.key = event.key.as_deref();
        record.payload = event.payload.as_deref();
        self.producer.send(record, TIMEOUT).await.map_err(|(error, _)| error)?;
        fail_point::hit("consumer.retry_sent");
        metrics::RETRIED.with_label_values(&[&event.origin.topic, &retry.topic]).inc();
        Ok(())
    }
}
