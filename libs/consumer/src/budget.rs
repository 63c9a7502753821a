//! Memory budget for back-pressure: records for each partition, bytes for all partitions of the topic together, and for those of its
//! retry topics.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Records of one partition, queued or in flight, at which it pauses; it resumes at half of that.
pub(crate) const HIGH_WATER: usize = 256;

/// Bytes of keys, headers and payloads of all partitions of the topic at which each partition with a record pauses; they resume at half
/// of that.
const TOPIC_BYTES: usize = 32 * 1024 * 1024;

/// The same for the retry topics together. Their records are in memory until they are due, so they must not take the bytes of the topic.
const RETRY_BYTES: usize = 8 * 1024 * 1024;

/// The records of one partition and the bytes of all partitions that share them, in memory. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    records: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    /// The bytes at which it is full.
    limit: usize,
}

/// The share of one record, released on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// The budget of the topic.
    pub(crate) fn of_topic() -> Self {
        Self { records: Arc::default(), bytes: Arc::default(), limit: TOPIC_BYTES }
    }

    /// The budget of its retry topics.
    pub(crate) fn of_retries() -> Self {
        Self { limit: RETRY_BYTES, ..Self::of_topic() }
    }

    /// The budget of another partition, with its own records and the same bytes.
    pub(crate) fn of_partition(&self) -> Self {
        Self { records: Arc::default(), ..self.clone() }
    }

    pub(crate) fn take(&self, bytes: usize) -> Share {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Share { budget: self.clone(), bytes }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records() >= HIGH_WATER || self.bytes() >= self.limit
    }

    /// Whether a paused partition may resume. A partition without records always may, so no partition starves, and the bytes
    /// exceed their bound by at most one record for each partition.
    pub(crate) fn has_room(&self) -> bool {
        let records = self.records();
        records == 0 || (records <= HIGH_WATER / 2 && self.bytes() <= self.limit / 2)
    }

    fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.records.fetch_sub(1, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_bounds_its_records() {
        let all = Budget::of_topic();
        let (one, other) = (all.of_partition(), all.of_partition());
        let mut shares: Vec<_> = (0..HIGH_WATER).map(|_| one.take(1)).collect();
        assert!(one.is_full() && !one.has_room());
        assert!(!other.is_full() && other.has_room());
        shares.truncate(HIGH_WATER / 2);
        assert!(one.has_room());
    }

    #[test]
    fn bytes_are_bounded_over_all_partitions_and_each_may_hold_one_record() {
        let all = Budget::of_topic();
        let (one, other) = (all.of_partition(), all.of_partition());
        let big = one.take(TOPIC_BYTES);
        assert!(one.is_full() && !one.has_room());
        assert!(other.is_full() && other.has_room());
        let small = other.take(1);
        assert!(!other.has_room());
        drop(big);
        assert!(other.has_room() && !other.is_full());
        drop(small);
    }
}
