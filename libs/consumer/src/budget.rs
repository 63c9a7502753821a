//! How much the runtime holds in memory, counted in records for each partition and in bytes for all of them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Records of one partition, queued or in hand, at which it is paused; at half of that it resumes.
pub(crate) const HIGH_WATER: usize = 256;

/// Bytes of keys, headers and payloads of all partitions at which every partition with something to do is paused; at half of
/// that they resume.
const HIGH_WATER_BYTES: usize = 32 * 1024 * 1024;

/// What one partition holds, and all of them together. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    records: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

/// One record's share; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// The budget of another partition: its own records, the same bytes.
    pub(crate) fn of_partition(&self) -> Self {
        Self { records: Arc::default(), bytes: Arc::clone(&self.bytes) }
    }

    /// Takes the share of a record of this size.
    pub(crate) fn take(&self, bytes: usize) -> Share {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Share { budget: self.clone(), bytes }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records() >= HIGH_WATER || self.bytes() >= HIGH_WATER_BYTES
    }

    /// Whether a paused partition may go on. One that holds nothing always may, whatever the others hold: so each of them
    /// moves, and the bytes exceed their bound by one record for each partition at most.
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
    fn records_are_bounded_by_partition() {
        let all = Budget::default();
        let (one, other) = (all.of_partition(), all.of_partition());
        let mut shares: Vec<_> = (0..HIGH_WATER).map(|_| one.take(1)).collect();
        assert!(one.is_full() && !one.has_room());
        assert!(!other.is_full() && other.has_room());
        shares.truncate(HIGH_WATER / 2);
        assert!(one.has_room());
    }

    #[test]
    fn bytes_are_bounded_for_all_partitions_but_each_may_hold_one_record() {
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
