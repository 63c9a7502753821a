//! Flow control of one partition: how many rows may be in flight, from the outcome of earlier rows.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Rows in flight of one partition, so that none fills the producer.
pub(crate) const SHARE_ROWS: usize = 512;

/// The same in bytes; a single row may be larger.
const SHARE_BYTES: usize = 2 << 20;

/// Time without an acknowledgement after which a partition counts as stalled and gets no more rows.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(2);

/// Acknowledgements after which the limit doubles.
const GROW_AFTER: usize = 100;

/// Pauses after failures: from 100 ms to 2 s, jitter included.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(1))
    .without_max_times()
    .with_jitter();

/// How the broker refused a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// In a batch: it is sent again with fewer rows.
    Batch,
    /// Alone: another attempt would fail too.
    Single,
}

/// The rows in flight of a partition, and its limits.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// Rows in flight at most; lower after the broker refused a batch.
    limit: usize,
    /// Rows acknowledged since the limit changed.
    taken: usize,
    /// The start of the wait for an acknowledgement.
    waiting_since: Option<Instant>,
    /// The end of the pause after a failure.
    paused_until: Option<Instant>,
    pauses: ExponentialBackoff,
    /// One row at a time until one is acknowledged: after a failure, or a stall that replaced the producer.
    probing: bool,
}

impl Default for Partition {
    fn default() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            limit: SHARE_ROWS,
            taken: 0,
            waiting_since: None,
            paused_until: None,
            pauses: BACKOFF.build(),
            probing: false,
        }
    }
}

impl Partition {
    fn limit(&self) -> usize {
        if self.probing { 1 } else { self.limit }
    }

    pub(crate) fn has_room_for(&self, bytes: usize, now: Instant) -> bool {
        let fits = self.rows == 0
            || (self.rows < self.limit() && self.bytes + bytes <= SHARE_BYTES && !self.is_stalled(now));
        fits && self.paused_until.is_none_or(|until| until <= now)
    }

    /// Adds a row in flight; returns the current limit.
    pub(crate) fn add(&mut self, bytes: usize, now: Instant) -> usize {
        self.rows += 1;
        self.bytes += bytes;
        self.waiting_since.get_or_insert(now);
        self.limit()
    }

    fn release(&mut self, bytes: usize) {
        self.rows -= 1;
        self.bytes -= bytes;
    }

    pub(crate) fn withdraw(&mut self, bytes: usize) {
        self.release(bytes);
        if self.rows == 0 && self.paused_until.is_none() {
            self.waiting_since = None;
        }
    }

    pub(crate) fn acknowledged(&mut self, bytes: usize, now: Instant) {
        self.release(bytes);
        (self.probing, self.paused_until, self.pauses) = (false, None, BACKOFF.build());
        self.waiting_since = (self.rows > 0).then_some(now);
        self.taken += 1;
        if self.taken >= GROW_AFTER && self.limit < SHARE_ROWS {
            (self.limit, self.taken) = ((self.limit * 2).min(SHARE_ROWS), 0);
        }
    }

    /// The broker refused a row that was sent under `limit`. It refuses whole batches, and the batches are unknown, so the limit
    /// is halved, down to one.
    pub(crate) fn refused(&mut self, bytes: usize, limit: usize) -> Refusal {
        let at_once = self.rows;
        self.release(bytes);
        if self.rows == 0 {
            self.waiting_since = None;
        }
        if limit == 1 {
            return Refusal::Single;
        }
        // A row sent under a higher limit was already counted when the limit was lowered.
        if limit <= self.limit {
            (self.limit, self.taken) = ((at_once.min(self.limit) / 2).max(1), 0);
        }
        Refusal::Batch
    }

    /// A row failed because of the partition: backoff with jitter.
    pub(crate) fn failed(&mut self, bytes: usize, now: Instant) {
        self.release(bytes);
        self.probing = true;
        self.paused_until = self.pauses.next().map(|pause| now + pause);
    }

    /// The producer was replaced: no row is in flight.
    pub(crate) fn clear(&mut self, now: Instant) {
        self.probing |= self.is_stalled(now);
        (self.rows, self.bytes) = (0, 0);
        if !self.probing {
            self.waiting_since = None;
        }
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_for(now).is_some()
    }

    /// The time without an acknowledgement, if the partition is stalled.
    pub(crate) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        self.waiting_since.map(|since| now - since).filter(|waited| *waited > STALLED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(partition: &mut Partition, now: Instant) -> usize {
        let mut limit = 0;
        while partition.has_room_for(100, now) {
            limit = partition.add(100, now);
        }
        limit
    }

    #[test]
    fn a_refused_batch_is_halved_down_to_a_single_row() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        let mut sizes = Vec::new();
        loop {
            let limit = fill(&mut partition, now);
            let rows = partition.rows;
            sizes.push(rows);
            let refusals: Vec<_> = (0..rows).map(|_| partition.refused(100, limit)).collect();
            if refusals == [Refusal::Single] {
                break;
            }
            assert!(refusals.iter().all(|refusal| *refusal == Refusal::Batch), "{refusals:?}");
        }
        assert_eq!(sizes, [512, 256, 128, 64, 32, 16, 8, 4, 2, 1], "one batch is one reason to halve");
    }

    #[test]
    fn few_rows_are_halved_from_their_own_number() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        let limit = partition.add(100, now);
        partition.add(100, now);
        partition.refused(100, limit);
        partition.refused(100, limit);
        assert_eq!(fill(&mut partition, now), 1);
    }

    #[test]
    fn the_limit_doubles_after_a_hundred_acknowledgements() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        let limit = fill(&mut partition, now);
        for _ in 0..SHARE_ROWS {
            partition.refused(100, limit);
        }
        assert_eq!(partition.limit(), SHARE_ROWS / 2);
        for _ in 0..GROW_AFTER {
            partition.add(100, now);
            partition.acknowledged(100, now);
        }
        assert_eq!(partition.limit(), SHARE_ROWS);
    }

    #[test]
    fn bytes_are_bounded_but_a_single_row_always_fits() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        assert!(partition.has_room_for(SHARE_BYTES * 2, now));
        partition.add(SHARE_BYTES - 10, now);
        assert!(partition.has_room_for(10, now));
        assert!(!partition.has_room_for(11, now));
    }

    #[test]
    fn a_stalled_partition_gets_no_rows_and_one_row_after_the_producer_is_replaced() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        partition.add(100, now);
        let later = now + STALLED_AFTER + Duration::from_millis(1);
        assert!(partition.has_room_for(100, now) && !partition.has_room_for(100, later));
        partition.clear(later);
        assert_eq!(fill(&mut partition, later), 1);
        assert_eq!(partition.rows, 1);
        partition.acknowledged(100, later);
        assert_eq!(fill(&mut partition, later), SHARE_ROWS);
    }

    #[test]
    fn a_failure_is_followed_by_a_pause_and_then_by_a_single_row() {
        let (mut partition, now) = (Partition::default(), Instant::now());
        partition.add(100, now);
        partition.failed(100, now);
        assert!(!partition.has_room_for(100, now));
        let later = now + Duration::from_secs(2);
        fill(&mut partition, later);
        assert_eq!(partition.rows, 1);
    }
}
