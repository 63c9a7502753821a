//! A partition of a topic, and the place in it from which an event was read.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rdkafka::TopicPartitionList;

/// A partition of a topic. Clones are cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

impl Source {
    pub(crate) fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }

    pub(crate) fn all(list: &TopicPartitionList) -> Vec<Self> {
        let elements = list.elements();
        elements.iter().map(|element| Self::new(element.topic(), element.partition())).collect()
    }
}

/// Where an event was first read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) written_at: DateTime<Utc>,
}

/// The list of these partitions, for librdkafka.
pub(crate) fn list(sources: &[Source]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for source in sources {
        list.add_partition(&source.topic, source.partition);
    }
    list
}
