//! Reads the dead-letter topic, from a position on, without joining the group.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use events::Kafka;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::OwnedMessage,
    metadata::MetadataTopic,
};

use super::{Error, LetterId, Settings};
use crate::client::client_config;

/// Time limit for one answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The first offset and the end of each partition.
pub(super) type Bounds = BTreeMap<i32, (i64, i64)>;

/// A client that reads one partition at a time. It fetches nothing between two calls.
pub(super) struct Reader {
    client: Arc<StreamConsumer>,
    topic: String,
}

impl Reader {
    pub(super) fn new(kafka: &Kafka, settings: &Settings) -> Result<Self, KafkaError> {
        let client = client_config(kafka)
            // librdkafka needs the name of a group to read; without a subscription it joins none.
            .set("group.id", &settings.group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // The bound of unread records in memory, beside one response of a broker.
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.max.bytes", "4194304")
            .set("fetch.wait.max.ms", "100")
            .set("socket.timeout.ms", "5000")
            .create()?;
        Ok(Self { client: Arc::new(client), topic: settings.dead_letter_topic.clone() })
    }

    /// Asks the broker which offsets the topic has.
    pub(super) async fn bounds(&self) -> Result<Bounds, Error> {
        let (client, topic) = (Arc::clone(&self.client), self.topic.clone());
        // These calls of librdkafka block their thread.
        let bounds = tokio::task::spawn_blocking(move || bounds(&client, &topic)).await;
        Ok(bounds.or(Err(Error::Interrupted))??)
    }

    /// Continues at this letter.
    pub(super) fn seek(&self, id: LetterId) -> Result<(), Error> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&self.topic, id.partition, Offset::Offset(id.offset))?;
        Ok(self.client.assign(&assignment)?)
    }

    /// Returns the next record; `None` at the end of the partition.
    pub(super) async fn next(&self) -> Result<Option<OwnedMessage>, Error> {
        match tokio::time::timeout(TIMEOUT, self.client.recv()).await {
            Ok(Ok(message)) => Ok(Some(message.detach())),
            Ok(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Ok(Err(error)) => Err(error.into()),
            Err(_elapsed) => Err(Error::Silent(TIMEOUT)),
        }
    }

    /// Stops fetching.
    pub(super) fn rest(&self) {
        if let Err(error) = self.client.unassign() {
            tracing::debug!(%error, "the reader of dead letters keeps its partition");
        }
    }
}

fn bounds(client: &StreamConsumer, topic: &str) -> Result<Bounds, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let bounds = partitions
        .map(|partition| Ok((partition.id(), client.fetch_watermarks(topic, partition.id(), TIMEOUT)?)));
    bounds.collect()
}
