//! Partitions of a topic that take nothing, and the replacement of the producer when that may help.

use std::time::{Duration, Instant};

use super::{DRAIN_TIMEOUT, RelayError, Term};
use crate::{in_flight, metrics};

/// Stall of a partition after which the producer is replaced, in case the producer is the cause; then again after the same time.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// What was done about stalls.
pub(super) struct Stalls {
    /// Sending has stopped, to replace the producer.
    draining_since: Option<Instant>,
    replaced: Instant,
    n_stalled: usize,
}

impl Stalls {
    pub(super) fn new(now: Instant) -> Self {
        Self { draining_since: None, replaced: now, n_stalled: 0 }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining_since.is_some()
    }
}

impl Term<'_> {
    /// Detects stalled partitions, and replaces the producer when that may help.
    pub(super) fn check_stalls(&mut self) -> Result<(), RelayError> {
        let now = Instant::now();
        let stalled = self.sender.in_flight.stalled(now);
        let stalls = &mut self.stalls;
        if stalled.partitions != stalls.n_stalled {
            tracing::warn!(partitions = stalled.partitions, rows = stalled.rows, "partitions take no events");
            stalls.n_stalled = stalled.partitions;
        }
        metrics::STALLED_PARTITIONS.set(stalled.partitions.try_into().unwrap_or(i64::MAX));
        // Stalled rows block other partitions, or stall for longer than the broker's recovery takes.
        let fills = stalled.rows > in_flight::ROWS / 2 || stalled.bytes > in_flight::BYTES / 2;
        let hangs = stalled.longest.min(now - stalls.replaced) > STALL_TIMEOUT;
        if fills || hangs {
            stalls.draining_since.get_or_insert(now);
        } else if stalled.partitions == 0 {
            stalls.draining_since = None;
        }
        let settled = stalls
            .draining_since
            .is_some_and(|since| now - since > DRAIN_TIMEOUT || self.sender.in_flight.rows() == stalled.rows);
        if self.sender.is_broken || settled {
            self.replace_producer()?;
        }
        Ok(())
    }

    /// The new producer sends the rows of the old one again. They keep their order, because no later row of their keys was sent.
    fn replace_producer(&mut self) -> Result<(), RelayError> {
        self.sender.complete_ready();
        metrics::FAILURES.inc();
        tracing::warn!(rows = self.sender.in_flight.rows(), "the outbox relay replaces its producer");
        self.sender.replace_producer()?;
        (self.stalls.draining_since, self.stalls.replaced) = (None, Instant::now());
        Ok(())
    }
}
