//! Assigned partitions, their back-pressure and their drain.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    metrics,
    partition::{Draining, Partition, Position},
    source::Source,
};

/// Assigned partitions, shared by the receiving loop and the rebalance callback.
#[derive(Default)]
pub(crate) struct Assignment {
    partitions: Mutex<HashMap<Source, Assigned>>,
    /// The number of the next assignment.
    epochs: AtomicU64,
}

pub(crate) struct Assigned {
    /// Unique for each assignment.
    epoch: u64,
    /// All records below this offset are counted as due.
    counted_up_to: i64,
    /// `None` before its first record.
    pub(crate) running: Option<Partition>,
}

/// The position of an assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct AssignedPosition {
    pub(crate) source: Source,
    pub(crate) epoch: u64,
    pub(crate) position: Position,
}

impl Assignment {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<Source, Assigned>> {
        self.partitions.lock().expect("no panic under this lock")
    }

    pub(crate) fn add(&self, sources: Vec<Source>) {
        let mut partitions = self.lock();
        for source in sources {
            partitions.entry(source).or_insert_with(|| self.assigned());
        }
    }

    pub(crate) fn assigned(&self) -> Assigned {
        Assigned { epoch: self.epochs.fetch_add(1, Ordering::Relaxed), counted_up_to: 0, running: None }
    }

    /// Notes that the records of a partition below this offset are counted as due.
    pub(crate) fn counted(&self, source: &Source, up_to: i64) {
        if let Some(assigned) = self.lock().get_mut(source) {
            assigned.counted_up_to = up_to;
        }
    }

    /// Whether the record with this offset was counted as due: as late, if it is not finished.
    pub(crate) fn is_counted(&self, source: &Source, offset: i64) -> bool {
        self.lock().get(source).is_some_and(|assigned| offset < assigned.counted_up_to)
    }

    /// The positions of the partitions of a topic.
    pub(crate) fn positions(&self, topic: &str) -> Vec<AssignedPosition> {
        let partitions = self.lock();
        let position = |(source, assigned): (&Source, &Assigned)| AssignedPosition {
            source: source.clone(),
            epoch: assigned.epoch,
            position: assigned.running.as_ref().map(|running| *running.position.borrow()).unwrap_or_default(),
        };
        partitions.iter().filter(|(source, _)| *source.topic == *topic).map(position).collect()
    }

    /// Marks a partition as paused when its budget is full; returns whether the caller has to pause it.
    pub(crate) fn pause_if_full(&self, source: &Source) -> bool {
        let mut partitions = self.lock();
        let running = partitions.get_mut(source).and_then(|assigned| assigned.running.as_mut());
        let Some(running) = running.filter(|running| !running.paused) else { return false };
        running.paused = running.budget.is_full();
        running.paused
    }

    /// Marks the paused partitions that have room as resumed, and returns them.
    pub(crate) fn resumable(&self) -> Vec<Source> {
        let mut partitions = self.lock();
        let mut ready = Vec::new();
        for (source, assigned) in partitions.iter_mut() {
            if let Some(running) = &mut assigned.running
                && running.paused
                && running.budget.has_room()
            {
                running.paused = false;
                ready.push(source.clone());
            }
        }
        ready
    }

    /// Stops and removes the given partitions, or all, and returns their drains.
    pub(crate) fn stop(&self, only: Option<&[Source]>) -> Vec<Draining> {
        let mut partitions = self.lock();
        let sources = only.map_or_else(|| partitions.keys().cloned().collect(), <[Source]>::to_vec);
        sources.iter().filter_map(|source| partitions.remove(source)?.running).map(Partition::stop).collect()
    }

    pub(crate) fn observe(&self, topic: &str) {
        let partitions = self.lock();
        let of_topic = partitions.iter().filter(|(source, _)| *source.topic == *topic);
        let assigned: Vec<_> = of_topic.map(|(_, assigned)| assigned.running.as_ref()).collect();
        let paused = assigned.iter().flatten().filter(|running| running.paused).count();
        for (state, count) in [("paused", paused), ("active", assigned.len() - paused)] {
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
