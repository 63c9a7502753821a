//! What the producer holds, and what may be added to it.
//!
//! At most one row of a key is in it, and only the first of those that are left: that is what keeps the order. Whatever
//! becomes of a message, even one whose outcome nobody knows, nothing of its key can have gone before it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::{
    partition::{Partition, Refusal},
    row::{Head, Key},
};

/// Rows in the producer at most.
pub(crate) const ROWS: usize = 512;

/// Bytes in the producer at most, of rows that were not read yet.
pub(crate) const BYTES: usize = 8 << 20;

/// A partition of a topic.
pub(crate) type Place = (String, i32);

/// A row in the producer.
#[derive(Debug)]
struct Given {
    key: Key,
    place: Place,
    bytes: usize,
    /// How many of its partition could be with it.
    limit: usize,
}

/// The rows in the producer.
#[derive(Debug, Default)]
pub(crate) struct Window {
    given: HashMap<i64, Given>,
    keys: HashSet<Key>,
    bytes: usize,
    partitions: HashMap<Place, Partition>,
}

/// What was found among the oldest rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// May be sent, and count as given.
    pub(crate) seqs: Vec<i64>,
    /// How many rows had to be looked at for them.
    pub(crate) depth: usize,
}

/// Partitions that take nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stalled {
    pub(crate) partitions: usize,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// The longest of them.
    pub(crate) longest: Duration,
}

impl Window {
    /// Chooses rows among the oldest ones, which are in publishing order and of one snapshot. `place` knows the partition of a
    /// key; rows without one wait.
    pub(crate) fn choose(
        &mut self,
        heads: &[Head],
        place: impl Fn(&Key) -> Option<Place>,
        now: Instant,
    ) -> Choice {
        let mut choice = Choice::default();
        let mut seen = HashSet::new();
        let mut full = HashSet::new();
        for (index, head) in heads.iter().enumerate() {
            if self.given.len() >= ROWS || (self.bytes > 0 && self.bytes + head.bytes() > BYTES) {
                break;
            }
            if !seen.insert(&head.key) || self.keys.contains(&head.key) {
                continue;
            }
            let Some(place) = place(&head.key) else { continue };
            let partition = self.partitions.entry(place.clone()).or_default();
            // A large row that has to wait is not overtaken by small ones, which would keep it waiting.
            if full.contains(&place) || !partition.has_room_for(head.bytes(), now) {
                full.insert(place);
                continue;
            }
            let limit = partition.give(head.bytes(), now);
            let given = Given { key: head.key.clone(), place, bytes: head.bytes(), limit };
            self.bytes += given.bytes;
            self.keys.insert(given.key.clone());
            self.given.insert(head.seq, given);
            choice.seqs.push(head.seq);
            choice.depth = index + 1;
        }
        choice
    }

    /// The partition that a row was given to.
    pub(crate) fn place(&self, seq: i64) -> Option<&Place> {
        self.given.get(&seq).map(|given| &given.place)
    }

    /// The broker has the row.
    pub(crate) fn took(&mut self, seq: i64, now: Instant) {
        self.settle(seq, |partition, given| partition.took(given.bytes, now));
    }

    /// The broker refused the row, or the batch that it was in.
    pub(crate) fn refused(&mut self, seq: i64) -> Refusal {
        self.settle(seq, |partition, given| partition.refused(given.bytes, given.limit))
            .unwrap_or(Refusal::Together)
    }

    /// The row did not get there, for a reason that is not its own.
    pub(crate) fn failed(&mut self, seq: i64, now: Instant) {
        self.settle(seq, |partition, given| partition.failed(given.bytes, now));
    }

    /// The row was not sent after all.
    pub(crate) fn take_back(&mut self, seq: i64) {
        self.settle(seq, |partition, given| partition.take_back(given.bytes));
    }

    fn settle<T>(&mut self, seq: i64, how: impl FnOnce(&mut Partition, &Given) -> T) -> Option<T> {
        let given = self.given.remove(&seq)?;
        self.keys.remove(&given.key);
        self.bytes -= given.bytes;
        self.partitions.get_mut(&given.place).map(|partition| how(partition, &given))
    }

    /// The producer is gone with all that it held.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.given.clear();
        self.keys.clear();
        self.bytes = 0;
        self.partitions.values_mut().for_each(|partition| partition.forget(now));
    }

    /// What takes nothing.
    pub(crate) fn stalled(&self, now: Instant) -> Stalled {
        let mut stalled = Stalled::default();
        for partition in self.partitions.values() {
            if let Some(waited) = partition.stalled_for(now) {
                stalled.partitions += 1;
                stalled.rows += partition.rows();
                stalled.bytes += partition.bytes();
                stalled.longest = stalled.longest.max(waited);
            }
        }
        stalled
    }

    pub(crate) fn rows(&self) -> usize {
        self.given.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::{SHARE_ROWS, STALLED_AFTER};

    fn head(seq: i64, key: &str, payload_len: usize) -> Head {
        Head { seq, key: Key { topic: "t".to_owned(), key: key.to_owned() }, payload_len }
    }

    /// The partition is in the key, before the dot.
    fn place(key: &Key) -> Option<Place> {
        let partition = key.key.split('.').next()?.parse().ok()?;
        Some((key.topic.clone(), partition))
    }

    fn choose(window: &mut Window, heads: &[Head]) -> Vec<i64> {
        window.choose(heads, place, Instant::now()).seqs
    }

    #[test]
    fn only_the_first_row_of_a_key_is_given_and_the_next_when_it_is_taken() {
        let mut window = Window::default();
        let heads = [head(1, "0.a", 1), head(2, "0.a", 1), head(3, "0.b", 1)];
        assert_eq!(choose(&mut window, &heads), [1, 3]);
        assert_eq!(choose(&mut window, &heads), [0; 0]);
        window.took(1, Instant::now());
        assert_eq!(choose(&mut window, &heads[1..]), [2]);
        window.failed(2, Instant::now());
        assert_eq!(choose(&mut window, &heads[1..]), [0; 0], "its partition has a pause");
    }

    #[test]
    fn a_row_that_waits_for_room_holds_back_its_own_key() {
        let mut window = Window::default();
        let mut heads: Vec<_> = (0..70).map(|n| head(n, &format!("0.{n}"), 1)).collect();
        heads.push(head(70, "0.69", 1));
        heads.push(head(71, "1.a", 1));
        let choice = window.choose(&heads, place, Instant::now());
        assert_eq!(choice.seqs.len(), SHARE_ROWS + 1);
        assert_eq!(choice.seqs.last(), Some(&71), "another partition has room");
        assert_eq!(choice.depth, 72);
    }

    #[test]
    fn rows_and_bytes_are_bounded() {
        let mut window = Window::default();
        let heads: Vec<_> = (0..600).map(|n| head(n, &format!("{}.{n}", n % 20), 1)).collect();
        choose(&mut window, &heads);
        assert_eq!(window.rows(), ROWS);

        let mut window = Window::default();
        let heads: Vec<_> = (0..500).map(|n| head(n, &format!("{}.{n}", n % 20), 900_000)).collect();
        choose(&mut window, &heads);
        assert!(window.bytes() <= BYTES && window.rows() == 9, "{window:?}");
    }

    #[test]
    fn what_a_lost_producer_held_is_given_again_but_for_stalled_partitions_which_get_one_row() {
        let mut window = Window::default();
        let now = Instant::now();
        let heads: Vec<_> = (0..20).map(|n| head(n, &format!("{}.{n}", n % 2), 1)).collect();
        window.choose(&heads, place, now);
        let later = now + STALLED_AFTER + Duration::from_millis(1);
        (1..20).step_by(2).for_each(|seq| window.took(seq, later));
        let stalled = window.stalled(later);
        assert_eq!((stalled.partitions, stalled.rows), (1, 10));
        window.forget(later);
        assert_eq!(window.choose(&heads, place, later).seqs, [0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    }
}
