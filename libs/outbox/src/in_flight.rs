//! Rows in flight: sent to the producer and not acknowledged.
//!
//! At most one row of a key is in flight, and only the first one: that keeps the order. Even when the outcome of a message is
//! unknown, no later row of its key was sent.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    partition::{Partition, Refusal},
    rows::{Head, Key},
};

/// Rows in the producer at most.
pub(crate) const ROWS: usize = 2_048;

/// Bytes in the producer at most.
pub(crate) const BYTES: usize = 8 << 20;

/// A partition of a topic.
pub(crate) type TopicPartition = (Arc<str>, i32);

/// A row in the producer.
#[derive(Debug)]
struct Sent {
    key: Key,
    bucket: i16,
    place: TopicPartition,
    bytes: usize,
    /// The limit of its partition when it was sent.
    limit: usize,
}

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    sent: HashMap<i64, Sent>,
    keys: HashSet<Key>,
    bytes: usize,
    partitions: HashMap<TopicPartition, Partition>,
}

/// Partitions that acknowledge nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stalled {
    pub(crate) partitions: usize,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// The longest stall.
    pub(crate) longest: Duration,
}

impl InFlight {
    /// Chooses rows among these, which are in publishing order. They count as sent. `place` returns the partition of a key; rows
    /// without a partition wait.
    pub(crate) fn choose<'a>(
        &mut self,
        heads: impl IntoIterator<Item = &'a Head>,
        place: impl Fn(&Key) -> Option<TopicPartition>,
        now: Instant,
    ) -> Vec<i64> {
        let mut chosen = Vec::new();
        let mut seen = HashSet::new();
        let mut full = HashSet::new();
        for head in heads {
            if self.sent.len() >= ROWS || (self.bytes > 0 && self.bytes + head.bytes() > BYTES) {
                break;
            }
            // Many heads are in flight, and a seq takes less time to look up than a key.
            let is_sent = self.sent.contains_key(&head.seq) || self.keys.contains(&head.key);
            if is_sent || !seen.insert(&head.key) {
                continue;
            }
            let Some(place) = place(&head.key) else { continue };
            let partition = self.partitions.entry(place.clone()).or_default();
            // Small rows do not overtake a large row that waits, or it would wait for ever.
            if full.contains(&place) || !partition.has_room_for(head.bytes(), now) {
                full.insert(place);
                continue;
            }
            let limit = partition.add(head.bytes(), now);
            let (key, bucket, bytes) = (head.key.clone(), head.bucket, head.bytes());
            let sent = Sent { key, bucket, place, bytes, limit };
            self.bytes += sent.bytes;
            self.keys.insert(sent.key.clone());
            self.sent.insert(head.seq, sent);
            chosen.push(head.seq);
        }
        chosen
    }

    /// Whether a row of these buckets is in flight.
    pub(crate) fn has_row_of(&self, buckets: &BTreeSet<i16>) -> bool {
        self.sent.values().any(|sent| buckets.contains(&sent.bucket))
    }

    /// The partition of a row in flight.
    pub(crate) fn place(&self, seq: i64) -> Option<&TopicPartition> {
        self.sent.get(&seq).map(|sent| &sent.place)
    }

    /// The broker acknowledged the row.
    pub(crate) fn acknowledged(&mut self, seq: i64, now: Instant) {
        self.complete(seq, |partition, sent| partition.acknowledged(sent.bytes, now));
    }

    /// The broker refused the row or its batch.
    pub(crate) fn refused(&mut self, seq: i64) -> Refusal {
        self.complete(seq, |partition, sent| partition.refused(sent.bytes, sent.limit))
            .unwrap_or(Refusal::Batch)
    }

    /// The row failed because of its partition.
    pub(crate) fn failed(&mut self, seq: i64, now: Instant) {
        self.complete(seq, |partition, sent| partition.failed(sent.bytes, now));
    }

    /// The row was not sent.
    pub(crate) fn withdraw(&mut self, seq: i64) {
        self.complete(seq, |partition, sent| partition.withdraw(sent.bytes));
    }

    fn complete<T>(&mut self, seq: i64, how: impl FnOnce(&mut Partition, &Sent) -> T) -> Option<T> {
        let sent = self.sent.remove(&seq)?;
        self.keys.remove(&sent.key);
        self.bytes -= sent.bytes;
        self.partitions.get_mut(&sent.place).map(|partition| how(partition, &sent))
    }

    /// The producer was replaced: no row is in flight.
    pub(crate) fn clear(&mut self, now: Instant) {
        self.sent.clear();
        self.keys.clear();
        self.bytes = 0;
        self.partitions.values_mut().for_each(|partition| partition.clear(now));
    }

    /// Summarises the stalled partitions.
    pub(crate) fn stalled(&self, now: Instant) -> Stalled {
        let mut stalled = Stalled::default();
        for partition in self.partitions.values() {
            if let Some(waited) = partition.stalled_for(now) {
                stalled.partitions += 1;
                stalled.rows += partition.rows;
                stalled.bytes += partition.bytes;
                stalled.longest = stalled.longest.max(waited);
            }
        }
        stalled
    }

    pub(crate) fn rows(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::{SHARE_ROWS, STALLED_AFTER};

    fn head(seq: i64, key: &str, content_len: usize) -> Head {
        let key = Key { topic: "t".into(), key: key.into() };
        Head { seq, bucket: 0, key, content_len, inserted_at: chrono::DateTime::UNIX_EPOCH, row: None }
    }

    /// The partition is in the key, before the dot.
    fn place(key: &Key) -> Option<TopicPartition> {
        let partition = key.key.split('.').next()?.parse().ok()?;
        Some((Arc::clone(&key.topic), partition))
    }

    fn choose(window: &mut InFlight, heads: &[Head]) -> Vec<i64> {
        window.choose(heads, place, Instant::now())
    }

    #[test]
    fn only_the_first_row_of_a_key_is_given_and_the_next_when_it_is_taken() {
        let mut window = InFlight::default();
        let heads = [head(1, "0.a", 1), head(2, "0.a", 1), head(3, "0.b", 1)];
        assert_eq!(choose(&mut window, &heads), [1, 3]);
        assert_eq!(choose(&mut window, &heads), [0; 0]);
        window.acknowledged(1, Instant::now());
        assert_eq!(choose(&mut window, &heads[1..]), [2]);
        window.failed(2, Instant::now());
        assert_eq!(choose(&mut window, &heads[1..]), [0; 0], "its partition has a pause");
    }

    #[test]
    fn a_row_that_waits_for_room_blocks_only_its_key() {
        let mut window = InFlight::default();
        let mut heads: Vec<_> = (0..600).map(|n| head(n, &format!("0.{n}"), 1)).collect();
        heads.push(head(600, "0.599", 1));
        heads.push(head(601, "1.a", 1));
        let chosen = choose(&mut window, &heads);
        assert_eq!(chosen.len(), SHARE_ROWS + 1);
        assert_eq!(chosen.last(), Some(&601), "another partition has room");
    }

    #[test]
    fn rows_and_bytes_are_bounded() {
        let mut window = InFlight::default();
        let heads: Vec<_> = (0..3_000).map(|n| head(n, &format!("{}.{n}", n % 20), 1)).collect();
        choose(&mut window, &heads);
        assert_eq!(window.rows(), ROWS);

        let mut window = InFlight::default();
        let heads: Vec<_> = (0..500).map(|n| head(n, &format!("{}.{n}", n % 20), 900_000)).collect();
        choose(&mut window, &heads);
        assert!(window.bytes() <= BYTES && window.rows() == 9, "{window:?}");
    }

    #[test]
    fn a_new_producer_gets_all_rows_again_and_one_per_stalled_partition() {
        let mut window = InFlight::default();
        let now = Instant::now();
        let heads: Vec<_> = (0..20).map(|n| head(n, &format!("{}.{n}", n % 2), 1)).collect();
        window.choose(&heads, place, now);
        let later = now + STALLED_AFTER + Duration::from_millis(1);
        (1..20).step_by(2).for_each(|seq| window.acknowledged(seq, later));
        let stalled = window.stalled(later);
        assert_eq!((stalled.partitions, stalled.rows), (1, 10));
        window.clear(later);
        assert_eq!(window.choose(&heads, place, later), [0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    }
}
