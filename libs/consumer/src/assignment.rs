//! The partitions that this process holds.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rdkafka::TopicPartitionList;
use tokio::sync::oneshot::Receiver;

use crate::{
    metrics,
    partition::{HIGH_WATER, Partition},
};

/// Partitions by number, shared by the receiving loop and the rebalance callback.
#[derive(Default)]
pub(crate) struct Assignment(Mutex<HashMap<i32, Partition>>);

impl Assignment {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<i32, Partition>> {
        self.0.lock().expect("no panic under this lock")
    }

    /// Whether the partition has enough queued to be paused.
    pub(crate) fn is_full(&self, partition: i32) -> bool {
        self.lock().get(&partition).is_some_and(|held| !held.paused && held.queued() >= HIGH_WATER)
    }

    /// Takes the paused partitions that have room again.
    pub(crate) fn resumable(&self) -> Vec<i32> {
        let mut partitions = self.lock();
        let ready = partitions.iter_mut().filter(|(_, held)| held.paused && held.queued() <= HIGH_WATER / 2);
        ready
            .map(|(number, held)| {
                held.paused = false;
                *number
            })
            .collect()
    }

    /// Stops the given partitions, or all; returns what tells when each has finished its message in hand.
    pub(crate) fn stop(&self, only: Option<&TopicPartitionList>) -> Vec<Receiver<()>> {
        let mut partitions = self.lock();
        let numbers: Vec<i32> = match only {
            Some(list) => list
                .elements()
                .iter()
                .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
                .collect(),
            None => partitions.keys().copied().collect(),
        };
        numbers.iter().filter_map(|number| partitions.remove(number)).map(Partition::stop).collect()
    }

    /// Counts the partitions by state.
    pub(crate) fn observe(&self, topic: &str) {
        let partitions = self.lock();
        let paused = partitions.values().filter(|held| held.paused).count();
        for (state, count) in [("paused", paused), ("active", partitions.len() - paused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics::PARTITIONS.with_label_values(&[topic, state]).set(count);
        }
    }
}

/// Waits for stopped partitions, up to `timeout` for all of them. Returns whether every one finished.
pub(crate) async fn wait_finished(finishing: Vec<Receiver<()>>, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    let mut all = true;
    for finished in finishing {
        // The sender is dropped, never used: an error is how a partition says that it has finished.
        all &= tokio::time::timeout_at(deadline.into(), finished).await.is_ok();
    }
    all
}
