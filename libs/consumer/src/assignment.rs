//! The partitions that this process holds.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rdkafka::{TopicPartitionList, topic_partition_list::TopicPartitionListElem};

use crate::{
    metrics,
    partition::{HIGH_WATER, Partition, Stopping},
};

/// Assigned partitions by number, shared by the receiving loop and the rebalance callback. One that no message came from
/// yet has no task.
#[derive(Default)]
pub(crate) struct Assignment(Mutex<HashMap<i32, Option<Partition>>>);

impl Assignment {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<i32, Option<Partition>>> {
        self.0.lock().expect("no panic under this lock")
    }

    /// Notes that partitions were assigned.
    pub(crate) fn add(&self, assigned: &TopicPartitionList) {
        let mut partitions = self.lock();
        for assigned in assigned.elements() {
            partitions.entry(assigned.partition()).or_default();
        }
    }

    /// Notes that a partition is paused if it has enough queued; returns whether it is now to be paused.
    pub(crate) fn pause_if_full(&self, partition: i32) -> bool {
        let mut partitions = self.lock();
        let Some(Some(held)) = partitions.get_mut(&partition) else { return false };
        let is_full = !held.paused && held.queued() >= HIGH_WATER;
        held.paused |= is_full;
        is_full
    }

    /// Takes the paused partitions that have room again.
    pub(crate) fn resumable(&self) -> Vec<i32> {
        let mut partitions = self.lock();
        let mut ready = Vec::new();
        for (number, held) in partitions.iter_mut() {
            if let Some(held) = held
                && held.paused
                && held.queued() <= HIGH_WATER / 2
            {
                held.paused = false;
                ready.push(*number);
            }
        }
        ready
    }

    /// Stops the given partitions, or all; returns those that have a message in hand, perhaps.
    pub(crate) fn stop(&self, only: Option<&TopicPartitionList>) -> Vec<Stopping> {
        let mut partitions = self.lock();
        let numbers: Vec<i32> = match only {
            Some(list) => list.elements().iter().map(TopicPartitionListElem::partition).collect(),
            None => partitions.keys().copied().collect(),
        };
        numbers.iter().filter_map(|number| partitions.remove(number)?).map(Partition::stop).collect()
    }

    /// Counts the partitions by state.
    pub(crate) fn observe(&self, topic: &str) {
        let partitions = self.lock();
        let paused = partitions.values().flatten().filter(|held| held.paused).count();
        for (state, count) in [("paused", paused), ("active", partitions.len() - paused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics::PARTITIONS.with_label_values(&[topic, state]).set(count);
        }
    }
}

/// Waits for stopped partitions, up to `timeout` for all of them, and ends those that take longer: their message is
/// another owner's from then on. Returns whether every one finished by itself.
pub(crate) async fn wait_finished(stopping: Vec<Stopping>, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    let mut all = true;
    for partition in stopping {
        all &= partition.finish_by(deadline).await;
    }
    all
}
