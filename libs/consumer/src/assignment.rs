//! The partitions that this process holds.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{TopicPartitionList, topic_partition_list::TopicPartitionListElem};

use crate::{
    metrics,
    partition::{Partition, Position, Stopping},
};

/// Assigned partitions by number, shared by the receiving loop and the rebalance callback.
#[derive(Default)]
pub(crate) struct Assignment {
    partitions: Mutex<HashMap<i32, Held>>,
    /// Counts assignments of a partition.
    epochs: AtomicU64,
}

/// A partition of ours.
pub(crate) struct Held {
    /// Another number for each time that it was assigned.
    epoch: u64,
    /// `None` before its first message.
    pub(crate) running: Option<Partition>,
}

/// How far a partition of ours has got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) partition: i32,
    pub(crate) epoch: u64,
    pub(crate) position: Position,
}

impl Assignment {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<i32, Held>> {
        self.partitions.lock().expect("no panic under this lock")
    }

    /// Notes that partitions were assigned.
    pub(crate) fn add(&self, assigned: &TopicPartitionList) {
        let mut partitions = self.lock();
        for assigned in assigned.elements() {
            partitions.entry(assigned.partition()).or_insert_with(|| self.held());
        }
    }

    /// A partition that was just assigned.
    pub(crate) fn held(&self) -> Held {
        Held { epoch: self.epochs.fetch_add(1, Ordering::Relaxed), running: None }
    }

    /// How far each partition has got.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let partitions = self.lock();
        let standing = |(partition, held): (&i32, &Held)| Standing {
            partition: *partition,
            epoch: held.epoch,
            position: held.running.as_ref().map(|running| running.progress.position()).unwrap_or_default(),
        };
        partitions.iter().map(standing).collect()
    }

    /// Notes that a partition is paused if enough is held; returns whether it is now to be paused.
    pub(crate) fn pause_if_full(&self, partition: i32) -> bool {
        let mut partitions = self.lock();
        let Some(held) = partitions.get_mut(&partition).and_then(|held| held.running.as_mut()) else {
            return false;
        };
        let is_full = !held.paused && held.budget.is_full();
        held.paused |= is_full;
        is_full
    }

    /// Takes the paused partitions that have room again.
    pub(crate) fn resumable(&self) -> Vec<i32> {
        let mut partitions = self.lock();
        let mut ready = Vec::new();
        for (number, held) in partitions.iter_mut() {
            if let Some(running) = &mut held.running
                && running.paused
                && running.budget.has_room()
            {
                running.paused = false;
                ready.push(*number);
            }
        }
        ready
    }

    /// Stops the given partitions, or all; returns those that have messages in hand, perhaps.
    pub(crate) fn stop(&self, only: Option<&TopicPartitionList>) -> Vec<Stopping> {
        let mut partitions = self.lock();
        let numbers: Vec<i32> = match only {
            Some(list) => list.elements().iter().map(TopicPartitionListElem::partition).collect(),
            None => partitions.keys().copied().collect(),
        };
        numbers.iter().filter_map(|number| partitions.remove(number)?.running).map(Partition::stop).collect()
    }

    /// Counts the partitions by state.
    pub(crate) fn observe(&self, topic: &str) {
        let partitions = self.lock();
        let paused =
            partitions.values().filter_map(|held| held.running.as_ref()).filter(|held| held.paused).count();
        for (state, count) in [("paused", paused), ("active", partitions.len() - paused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics::PARTITIONS.with_label_values(&[topic, state]).set(count);
        }
    }
}

/// Waits for stopped partitions, up to `timeout` for all of them, and ends those that take longer: their messages are
/// another owner's from then on. Returns whether every one finished by itself.
pub(crate) async fn wait_finished(stopping: Vec<Stopping>, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    let mut all = true;
    for partition in stopping {
        all &= partition.finish_by(deadline).await;
    }
    all
}
