//! Memory budget for back-pressure: records for each partition, bytes for all partitions together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Records of one partition, queued or in flight, at which it pauses; it resumes at half of that.
pub(crate) const HIGH_WATER: usize = 256;

/// Bytes of keys, headers and payloads of all partitions at which each partition with a record pauses; they resume at half of
/// that.
const HIGH_WATER_BYTES: usize = 32 * 1024 * 1024;

/// The records of one partition and the bytes of all partitions in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    records: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

/// The share of one record, released on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// The budget of another partition, with its own records and the same bytes.
    pub(crate) fn of_partition(&self) -> Self {
        Self { records: Arc::default(), bytes: Arc::clone(&self.bytes) }
    }

    pub(crate) fn take(&self, bytes: usize) -> Share {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Share { budget: self.clone(), bytes }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records() >= HIGH_WATER || self.bytes() >= HIGH_WATER_BYTES
    }

    /// Whether a paused partition may resume. A partition without records always may, so no partition starves, and the bytes
    /// exceed their bound by at most one record for each partition.
    pub(crate) fn has_room(&self) -> bool {
        let records = self.records();
        records == 0 || (records <= HIGH_WATER / 2 && self.bytes() <= HIGH_WATER_BYTES / 2)
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
        let all = Budget::default();
        let (one, other) = (all.of_partition(), all.of_partition());
        let mut shares: Vec<_> = (0..HIGH_WATER).map(|_| one.take(1)).collect();
        assert!(one.is_full() && !one.has_room());
        assert!(!other.is_full() && other.has_room());
        shares.truncate(HIGH_WATER / 2);
        assert!(one.has_room());
    }

    #[test]
    fn bytes_are_bounded_over_all_partitions_and_each_may_hold_one_record() {
        let all = Budget::default();
        let (one, other) = (all.of_partition(), all.of_partition());
        let big = one.take(HIGH_WATER_BYTES);
        assert!(one.is_full() && !one.has_room());
        assert!(other.is_full() && other.has_room());
        let small = other.take(1);
        assert!(!other.has_room());
        drop(big);
        assert!(other.has_room() && !other.is_full());
        drop(small);
    }
}
