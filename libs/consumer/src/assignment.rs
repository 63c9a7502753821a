//! Assigned partitions, their back-pressure and their drain.

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
    partition::{Draining, Partition, Position},
};

/// Assigned partitions by number, shared by the receiving loop and the rebalance callback.
#[derive(Default)]
pub(crate) struct Assignment {
    partitions: Mutex<HashMap<i32, Assigned>>,
    /// The number of the next assignment.
    epochs: AtomicU64,
}

pub(crate) struct Assigned {
    /// Unique for each assignment.
    epoch: u64,
    /// `None` before its first record.
    pub(crate) running: Option<Partition>,
}

/// The position of an assigned partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AssignedPosition {
    pub(crate) partition: i32,
    pub(crate) epoch: u64,
    pub(crate) position: Position,
}

impl Assignment {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<i32, Assigned>> {
        self.partitions.lock().expect("no panic under this lock")
    }

    pub(crate) fn add(&self, assigned: &TopicPartitionList) {
        let mut partitions = self.lock();
        for assigned in assigned.elements() {
            partitions.entry(assigned.partition()).or_insert_with(|| self.assigned());
        }
    }

    pub(crate) fn assigned(&self) -> Assigned {
        Assigned { epoch: self.epochs.fetch_add(1, Ordering::Relaxed), running: None }
    }

    pub(crate) fn positions(&self) -> Vec<AssignedPosition> {
        let partitions = self.lock();
        let position = |(partition, assigned): (&i32, &Assigned)| AssignedPosition {
            partition: *partition,
            epoch: assigned.epoch,
            position: assigned.running.as_ref().map(|running| *running.position.borrow()).unwrap_or_default(),
        };
        partitions.iter().map(position).collect()
    }

    /// Marks a partition as paused when its budget is full; returns whether the caller has to pause it.
    pub(crate) fn pause_if_full(&self, partition: i32) -> bool {
        let mut partitions = self.lock();
        let running = partitions.get_mut(&partition).and_then(|assigned| assigned.running.as_mut());
        let Some(running) = running.filter(|running| !running.paused) else { return false };
        running.paused = running.budget.is_full();
        running.paused
    }

    /// Marks the paused partitions that have room as resumed, and returns them.
    pub(crate) fn resumable(&self) -> Vec<i32> {
        let mut partitions = self.lock();
        let mut ready = Vec::new();
        for (number, assigned) in partitions.iter_mut() {
            if let Some(running) = &mut assigned.running
                && running.paused
                && running.budget.has_room()
            {
                running.paused = false;
                ready.push(*number);
            }
        }
        ready
    }

    /// Stops and removes the given partitions, or all, and returns their drains.
    pub(crate) fn stop(&self, only: Option<&TopicPartitionList>) -> Vec<Draining> {
        let mut partitions = self.lock();
        let numbers: Vec<i32> = match only {
            Some(list) => list.elements().iter().map(TopicPartitionListElem::partition).collect(),
            None => partitions.keys().copied().collect(),
        };
        numbers.iter().filter_map(|number| partitions.remove(number)?.running).map(Partition::stop).collect()
    }

    pub(crate) fn observe(&self, topic: &str) {
        let partitions = self.lock();
        let running = partitions.values().filter_map(|assigned| assigned.running.as_ref());
        let paused = running.filter(|running| running.paused).count();
        for (state, count) in [("paused", paused), ("active", partitions.len() - paused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics::PARTITIONS.with_label_values(&[topic, state]).set(count);
        }
    }
}

/// Waits for the drains, at most `timeout` for all together, and cancels the others. Returns whether all finished in time.
pub(crate) async fn drain(partitions: Vec<Draining>, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    let mut in_time = true;
    for partition in partitions {
        in_time &= partition.finish_by(deadline).await;
    }
    in_time
}
