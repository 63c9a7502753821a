//! Reads a Kafka topic without a consumer group.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::{Headers as _, Message as _, OwnedMessage},
    metadata::MetadataTopic,
};
use tokio::time::{Instant, sleep, timeout};

/// Limit for one answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before a request is repeated.
const RETRY: Duration = Duration::from_millis(500);

/// The first offset and the end of each partition.
pub type Offsets = BTreeMap<i32, (i64, i64)>;

/// A position in each partition of a topic, and a consumer that reads from there.
pub struct TopicReader {
    consumer: Arc<StreamConsumer>,
    topic: String,
    next: BTreeMap<i32, i64>,
    is_assigned: bool,
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first message.
    Beginning,
    /// After the last message.
    End,
}

impl TopicReader {
    /// Asks the broker for the partitions and their offsets; fetches messages from the first call of [`next`](Self::next) on.
    pub async fn open(bootstrap_servers: &str, topic: &str, start: Start) -> anyhow::Result<Self> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("group.id", "loadtest")
            .set("enable.auto.commit", "false")
            .create()
            .context("the Kafka client")?;
        let mut reader = Self {
            consumer: Arc::new(consumer),
            topic: topic.to_owned(),
            next: BTreeMap::new(),
            is_assigned: false,
        };
        let offset = |(first, end)| if start == Start::Beginning { first } else { end };
        reader.next =
            reader.offsets().await?.into_iter().map(|(id, offsets)| (id, offset(offsets))).collect();
        Ok(reader)
    }

    /// Returns the offsets of each partition now. A broker that has just started may not lead its partitions yet, so refusals are repeated.
    pub async fn offsets(&self) -> anyhow::Result<Offsets> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
            // These calls of librdkafka block the thread.
            let outcome = tokio::task::spawn_blocking(move || offsets(&consumer, &topic))
                .await
                .context("the Kafka client panicked")?;
            match outcome {
                Err(error) if error.is::<KafkaError>() && Instant::now() < deadline => sleep(RETRY).await,
                outcome => return outcome,
            }
        }
    }

    /// Returns the next message; nothing when none arrives within `wait`.
    pub async fn next(&mut self, wait: Duration) -> anyhow::Result<Option<OwnedMessage>> {
        if !self.is_assigned {
            let mut assignment = TopicPartitionList::new();
            for (partition, next) in &self.next {
                assignment.add_partition_offset(&self.topic, *partition, Offset::Offset(*next))?;
            }
            self.consumer.assign(&assignment).context("the topic cannot be read")?;
            self.is_assigned = true;
        }
        // The client recovers from errors of the connection by itself.
        let Ok(Ok(message)) = timeout(wait, self.consumer.recv()).await else { return Ok(None) };
        self.next.insert(message.partition(), message.offset() + 1);
        Ok(Some(message.detach()))
    }

    /// Reports whether every message before the ends of `offsets` was read.
    pub fn has_read(&self, offsets: &Offsets) -> bool {
        self.next.iter().all(|(partition, next)| offsets.get(partition).is_none_or(|(_, end)| next >= end))
    }
}

/// Returns the first header of this name, if it is text.
pub fn header<'a>(message: &'a OwnedMessage, name: &str) -> Option<&'a str> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}

fn offsets(consumer: &StreamConsumer, topic: &str) -> anyhow::Result<Offsets> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("the broker does not answer")?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let offsets = partitions.map(|partition| {
        let offsets = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT);
        Ok((partition.id(), offsets.with_context(|| format!("offsets of topic {topic}"))?))
    });
    let offsets = offsets.collect::<anyhow::Result<Offsets>>()?;
    ensure!(!offsets.is_empty(), "topic {topic} does not exist");
    Ok(offsets)
}
