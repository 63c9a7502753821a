//! One partition of a topic: how many rows it may hold at once, after what it did with the last ones.

use std::time::{Duration, Instant};

/// Rows that one partition may hold unacknowledged, so that none can fill the producer.
pub(crate) const SHARE_ROWS: usize = 64;

/// The same in bytes; a single row may be larger.
const SHARE_BYTES: usize = 2 << 20;

/// From when on a partition that acknowledges nothing counts as stalled, and gets no more rows.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(2);

/// How many rows in a row must be taken before twice as many are tried at once.
const GROW_AFTER: usize = 100;

/// Longest pause after a failure.
const MAX_PAUSE_MS: u64 = 2_000;

/// What becomes of a row that the broker refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was refused with others, and goes again with fewer.
    Together,
    /// It was alone: it can never go as things are.
    Alone,
}

/// What a partition holds and how it has behaved.
#[derive(Debug)]
pub(crate) struct Partition {
    rows: usize,
    bytes: usize,
    /// Rows at once: fewer after the broker refused a batch of them.
    limit: usize,
    /// Rows taken since the limit changed.
    taken: usize,
    /// Since when it has been given rows and has taken none.
    waiting_since: Option<Instant>,
    /// After a failure.
    held_until: Option<Instant>,
    /// One row at a time until one is taken: it had stalled when the producer was renewed.
    is_probed: bool,
}

impl Default for Partition {
    fn default() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            limit: SHARE_ROWS,
            taken: 0,
            waiting_since: None,
            held_until: None,
            is_probed: false,
        }
    }
}

impl Partition {
    fn limit(&self) -> usize {
        if self.is_probed { 1 } else { self.limit }
    }

    pub(crate) fn has_room_for(&self, bytes: usize, now: Instant) -> bool {
        let fits = self.rows == 0
            || (self.rows < self.limit() && self.bytes + bytes <= SHARE_BYTES && !self.is_stalled(now));
        fits && self.held_until.is_none_or(|until| until <= now)
    }

    /// Gives it a row; returns the limit under which it got it.
    pub(crate) fn give(&mut self, bytes: usize, now: Instant) -> usize {
        self.rows += 1;
        self.bytes += bytes;
        self.waiting_since.get_or_insert(now);
        self.limit()
    }

    fn release(&mut self, bytes: usize) {
        self.rows -= 1;
        self.bytes -= bytes;
    }

    /// It has not got a row after all.
    pub(crate) fn take_back(&mut self, bytes: usize) {
        self.release(bytes);
        if self.rows == 0 && self.held_until.is_none() {
            self.waiting_since = None;
        }
    }

    /// The broker acknowledged a row.
    pub(crate) fn took(&mut self, bytes: usize, now: Instant) {
        self.release(bytes);
        (self.is_probed, self.held_until) = (false, None);
        self.waiting_since = (self.rows > 0).then_some(now);
        self.taken += 1;
        if self.taken >= GROW_AFTER && self.limit < SHARE_ROWS {
            (self.limit, self.taken) = ((self.limit * 2).min(SHARE_ROWS), 0);
        }
    }

    /// The broker refused a row that was given under `limit`. It refuses a batch as a whole, and how rows were put into
    /// batches is not known: so half as many at once, down to one.
    pub(crate) fn refused(&mut self, bytes: usize, limit: usize) -> Refusal {
        let at_once = self.rows;
        self.release(bytes);
        if self.rows == 0 {
            self.waiting_since = None;
        }
        if limit == 1 {
            return Refusal::Alone;
        }
        // Under a higher limit than now: one of those for which it was lowered.
        if limit <= self.limit {
            (self.limit, self.taken) = ((at_once.min(self.limit) / 2).max(1), 0);
        }
        Refusal::Together
    }

    /// A row failed for a reason that is not its own: a pause, with jitter.
    pub(crate) fn failed(&mut self, bytes: usize, now: Instant) {
        self.release(bytes);
        self.is_probed = true;
        self.held_until = Some(now + Duration::from_millis(rand::random_range(100..=MAX_PAUSE_MS)));
    }

    /// The producer is gone with all that it held.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.is_probed |= self.is_stalled(now);
        (self.rows, self.bytes) = (0, 0);
        if !self.is_probed {
            self.waiting_since = None;
        }
    }

    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_for(now).is_some()
    }

    /// For how long it has taken nothing, if that is long enough to count.
    pub(crate) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        self.waiting_since.map(|since| now - since).filter(|waited| *waited > STALLED_AFTER)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(partition: &mut Partition, now: Instant) -> usize {
        let mut limit = 0;
        while partition.has_room_for(100, now) {
            limit = partition.give(100, now);
        }
        limit
    }

    #[test]
    fn a_refused_batch_is_halved_down_to_one_row_which_is_then_alone() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        let mut sizes = Vec::new();
        loop {
            let limit = fill(&mut partition, now);
            let rows = partition.rows();
            sizes.push(rows);
            let refusals: Vec<_> = (0..rows).map(|_| partition.refused(100, limit)).collect();
            if refusals == [Refusal::Alone] {
                break;
            }
            assert!(refusals.iter().all(|refusal| *refusal == Refusal::Together), "{refusals:?}");
        }
        assert_eq!(sizes, [64, 32, 16, 8, 4, 2, 1], "one batch is one reason to halve");
    }

    #[test]
    fn few_rows_are_halved_from_their_own_number() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        let limit = partition.give(100, now);
        partition.give(100, now);
        partition.refused(100, limit);
        partition.refused(100, limit);
        assert_eq!(fill(&mut partition, now), 1);
    }

    #[test]
    fn more_are_tried_at_once_when_a_hundred_were_taken() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        let limit = fill(&mut partition, now);
        for _ in 0..SHARE_ROWS {
            partition.refused(100, limit);
        }
        assert_eq!(partition.limit(), SHARE_ROWS / 2);
        for _ in 0..GROW_AFTER {
            partition.give(100, now);
            partition.took(100, now);
        }
        assert_eq!(partition.limit(), SHARE_ROWS);
    }

    #[test]
    fn bytes_are_bounded_but_a_single_row_always_fits() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        assert!(partition.has_room_for(SHARE_BYTES * 2, now));
        partition.give(SHARE_BYTES - 10, now);
        assert!(partition.has_room_for(10, now));
        assert!(!partition.has_room_for(11, now));
    }

    #[test]
    fn a_stalled_partition_gets_nothing_more_and_one_row_after_the_producer_was_renewed() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        partition.give(100, now);
        let later = now + STALLED_AFTER + Duration::from_millis(1);
        assert!(partition.has_room_for(100, now) && !partition.has_room_for(100, later));
        partition.forget(later);
        assert_eq!(fill(&mut partition, later), 1);
        assert_eq!(partition.rows(), 1);
        partition.took(100, later);
        assert_eq!(fill(&mut partition, later), SHARE_ROWS);
    }

    #[test]
    fn a_failure_is_followed_by_a_pause_and_then_by_one_row() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        partition.give(100, now);
        partition.failed(100, now);
        assert!(!partition.has_room_for(100, now));
        let later = now + Duration::from_millis(MAX_PAUSE_MS);
        fill(&mut partition, later);
        assert_eq!(partition.rows(), 1);
    }
}
