//! How many partitions each topic has, and which of them a key belongs to.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    publisher::Publisher,
    row::{Head, Key},
    window::Place,
};

/// How long an answer is believed.
const BELIEVED: Duration = Duration::from_mins(1);

/// How long nobody is asked again after no answer.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Topic {
    partitions: Option<u32>,
    ask_again: Instant,
}

/// Topics that rows are for.
#[derive(Debug, Default)]
pub(crate) struct Topics(HashMap<String, Topic>);

impl Topics {
    /// Asks the broker about topics of these rows that it was not asked about lately.
    pub(crate) async fn learn(&mut self, heads: &[Head], publisher: &Arc<Publisher>) {
        for topic in heads.iter().map(|head| &head.key.topic) {
            let known = self.0.get(topic);
            if known.is_some_and(|known| known.ask_again > Instant::now()) {
                continue;
            }
            let before = known.and_then(|known| known.partitions);
            let answer = ask(publisher, topic.clone()).await;
            let pause = if answer.is_some() { BELIEVED } else { PAUSE };
            let known = Topic { partitions: answer.or(before), ask_again: Instant::now() + pause };
            self.0.insert(topic.clone(), known);
        }
    }

    /// The partition of a key; nothing while the topic is not known.
    pub(crate) fn place(&self, key: &Key) -> Option<Place> {
        let partitions = self.0.get(&key.topic)?.partitions?;
        Some((key.topic.clone(), partition(&key.key, partitions)))
    }
}

async fn ask(publisher: &Arc<Publisher>, topic: String) -> Option<u32> {
    let publisher = Arc::clone(publisher);
    // librdkafka's metadata call blocks its thread.
    let asked = tokio::task::spawn_blocking(move || {
        publisher.partitions(&topic).map_err(|error| tracing::warn!(%error, topic, "the topic is not known"))
    });
    asked.await.ok()?.ok()
}

/// As librdkafka does when nobody tells it a partition, so that keys stay where they were.
fn partition(key: &str, partitions: u32) -> i32 {
    (crc32fast::hash(key.as_bytes()) % partitions).cast_signed()
}
