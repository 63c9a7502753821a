//! The partitions of topics: which one a key has.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use crate::{
    in_flight::TopicPartition,
    publisher::Publisher,
    rows::{Head, Key},
};

/// How long the number of partitions is cached.
const TTL: Duration = Duration::from_mins(1);

/// Pause after metadata that could not be fetched.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Topic {
    partitions: Option<u32>,
    refresh_at: Instant,
}

/// The number of partitions by topic.
#[derive(Debug, Default)]
pub(crate) struct Topics(HashMap<Arc<str>, Topic>);

impl Topics {
    /// Fetches the metadata of the topics of these rows, unless it is cached. All at once: each can take a second, and the
    /// leases are not renewed meanwhile.
    pub(crate) async fn refresh<'a>(
        &mut self,
        heads: impl Iterator<Item = &'a Head>,
        publisher: &Arc<Publisher>,
    ) {
        let mut topics: BTreeSet<&Arc<str>> = heads.map(|head| &head.key.topic).collect();
        topics.retain(|topic| self.0.get(*topic).is_none_or(|known| known.refresh_at <= Instant::now()));
        let fetched = topics.into_iter().map(|topic| async move {
            let answer = fetch(publisher, Arc::clone(topic)).await;
            (topic, answer)
        });
        for (topic, answer) in join_all(fetched).await {
            let before = self.0.get(topic).and_then(|known| known.partitions);
            let pause = if answer.is_some() { TTL } else { PAUSE };
            let known = Topic { partitions: answer.or(before), refresh_at: Instant::now() + pause };
            self.0.insert(Arc::clone(topic), known);
        }
    }

    /// The partition of a key; `None` while the topic is unknown.
    pub(crate) fn place(&self, key: &Key) -> Option<TopicPartition> {
        let partitions = self.0.get(&key.topic)?.partitions?;
        Some((Arc::clone(&key.topic), partition(&key.key, partitions)))
    }
}

async fn fetch(publisher: &Arc<Publisher>, topic: Arc<str>) -> Option<u32> {
    let publisher = Arc::clone(publisher);
    // librdkafka's metadata call blocks its thread.
    let fetched = tokio::task::spawn_blocking(move || {
        publisher
            .partitions(&topic)
            .map_err(|error| tracing::warn!(%error, %topic, "cannot fetch the metadata of a topic"))
    });
    fetched.await.ok()?.ok()
}

/// The default partitioner of librdkafka (`consistent_random`), so that keys keep their partition.
fn partition(key: &str, partitions: u32) -> i32 {
    (crc32fast::hash(key.as_bytes()) % partitions).cast_signed()
}
