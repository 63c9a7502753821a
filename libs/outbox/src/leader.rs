//! The active relay: reads rows, publishes them, deletes acknowledged rows, and renews the lease.

use std::{
    collections::HashSet,
    error::Error as StdError,
    mem,
    time::{Duration, Instant},
};

use futures::future::try_join;
use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    in_flight, metrics,
    publisher::Topics,
    sender::{Inputs, Sender},
    session::Session,
};

/// Poll interval without a wake-up: for rows of other replicas and of earlier runs.
const POLL: Duration = Duration::from_millis(200);

/// Shortest interval between two reads, so that rows are batched.
const PACE: Duration = Duration::from_millis(5);

/// The number of the oldest rows that a read considers, at least.
const MIN_SCAN: usize = 2 * in_flight::ROWS;

/// The same at most, when the oldest rows belong to stalled partitions.
const MAX_SCAN: usize = 100_000;

/// Stall of a partition after which the producer is replaced, in case the producer is the cause; then again after the same time.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// Time limit for the rows of healthy partitions before the producer is replaced or the relay stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a term of the relay ended.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    #[error("cannot read the outbox")]
    Database(#[from] pg::Error),
    #[error("cannot make a producer")]
    Kafka(#[from] KafkaError),
    #[error("another relay has the lease")]
    LeaseLost,
}

/// A term as the active relay.
pub(crate) struct Leader<'a> {
    inputs: &'a Inputs,
    session: Session,
    sender: Sender<'a>,
    topics: Topics,
    scan: usize,
    /// Sending has stopped, to replace the producer.
    draining_since: Option<Instant>,
    renewed: Instant,
    n_stalled: usize,
}

/// The time of the next read.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// After a wake-up or an acknowledgement.
    earliest: Instant,
    /// Otherwise.
    at: Instant,
}

impl<'a> Leader<'a> {
    pub(crate) fn new(inputs: &'a Inputs, session: Session) -> Result<Self, KafkaError> {
        Ok(Self {
            inputs,
            session,
            sender: Sender::new(inputs)?,
            topics: Topics::default(),
            scan: MIN_SCAN,
            draining_since: None,
            renewed: Instant::now(),
            n_stalled: 0,
        })
    }

    /// Publishes until `stop`, the first failure of the database, or the loss of the lease.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<(), RelayError> {
        let now = Instant::now();
        let mut next = Next { earliest: now, at: now };
        while !stop.is_cancelled() {
            if !self.session.renew_lease().await? {
                return Err(RelayError::LeaseLost);
            }
            self.park().await?;
            self.check_stalls()?;
            if self.draining_since.is_some() {
                self.delete().await?;
            } else if next.at <= Instant::now() {
                next = self.publish().await?;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.sender.next_outcome() => {
                    self.sender.complete_ready();
                    next.at = next.earliest;
                }
                () = self.inputs.wake.notified() => next.at = next.earliest,
                () = tokio::time::sleep_until(next.at.into()), if self.draining_since.is_none() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        self.end().await
    }

    /// Closes the producer without waiting.
    pub(crate) fn close(self) {
        metrics::show_in_flight(0, 0);
        metrics::STALLED_PARTITIONS.set(0);
        self.sender.close();
    }

    /// Deletes acknowledged rows and reads the next ones, in one round trip, and sends them.
    async fn publish(&mut self) -> Result<Next, RelayError> {
        let started = Instant::now();
        let done = self.sender.take_done();
        let ((), mut heads) = try_join(self.session.delete(&done), self.session.heads(self.scan)).await?;
        let has_more = heads.len() == self.scan;
        // The statements run in this order unless they had to be prepared; then deleted rows can appear here.
        let done: HashSet<i64> = done.into_iter().collect();
        heads.retain(|head| !done.contains(&head.seq));
        self.topics.refresh(&heads, &self.sender.publisher).await;
        let topics = &self.topics;
        let choice = self.sender.in_flight.choose(&heads, |key| topics.place(key), Instant::now());
        if !choice.seqs.is_empty() {
            self.send(&choice.seqs).await?;
        }
        let in_flight = &self.sender.in_flight;
        metrics::show_in_flight(in_flight.rows(), in_flight.bytes());

        let now = Instant::now();
        // A deep scan is expensive for the database, so pause for as long as it took.
        let pause = if self.scan > MIN_SCAN { started.elapsed() } else { Duration::ZERO };
        let earliest = (started + PACE).max(now + pause);
        let is_stuck = choice.seqs.is_empty() && in_flight.rows() == in_flight.stalled(now).rows;
        if is_stuck && has_more && self.scan < MAX_SCAN {
            self.scan = (self.scan * 4).min(MAX_SCAN);
            return Ok(Next { earliest, at: earliest });
        }
        if !choice.seqs.is_empty() && choice.depth < self.scan / 8 {
            self.scan = (self.scan / 4).max(MIN_SCAN);
        }
        Ok(Next { earliest, at: now + POLL })
    }

    /// Reads the chosen rows and sends them.
    async fn send(&mut self, seqs: &[i64]) -> Result<(), RelayError> {
        let rows = self.session.rows(seqs).await?;
        let mut unsent: HashSet<i64> = seqs.iter().copied().collect();
        for row in &rows {
            // Checked after the read, in case this process was frozen during it.
            if !self.session.holds_lease() {
                return Err(RelayError::LeaseLost);
            }
            if !self.sender.send(row) {
                break;
            }
            unsent.remove(&row.seq);
        }
        for seq in unsent {
            self.sender.in_flight.withdraw(seq);
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), RelayError> {
        let done = self.sender.take_done();
        Ok(self.session.delete(&done).await?)
    }

    /// Parks the rows that the broker refuses even alone.
    async fn park(&mut self) -> Result<(), RelayError> {
        for (seq, error) in mem::take(&mut self.sender.refused) {
            let parked = self.session.park(seq, &error.to_string()).await?;
            self.sender.in_flight.withdraw(seq);
            if let Some((event_id, event_type)) = parked {
                metrics::PARKED.inc();
                tracing::error!(
                    error = &error as &dyn StdError,
                    %event_id,
                    event_type,
                    "the broker refuses an event: it is parked, and later ones of its key wait"
                );
            }
        }
        Ok(())
    }

    /// Detects stalled partitions, and replaces the producer when that may help.
    fn check_stalls(&mut self) -> Result<(), RelayError> {
        let now = Instant::now();
        let stalled = self.sender.in_flight.stalled(now);
        if stalled.partitions != self.n_stalled {
            tracing::warn!(partitions = stalled.partitions, rows = stalled.rows, "partitions take no events");
            self.n_stalled = stalled.partitions;
            metrics::STALLED_PARTITIONS.set(stalled.partitions.try_into().unwrap_or(i64::MAX));
        }
        // Stalled rows block other partitions, or stall for longer than the broker's recovery takes.
        let fills = stalled.rows > in_flight::ROWS / 2 || stalled.bytes > in_flight::BYTES / 2;
        let hangs = stalled.longest.min(now - self.renewed) > STALL_TIMEOUT;
        if fills || hangs {
            self.draining_since.get_or_insert(now);
        } else if stalled.partitions == 0 {
            self.draining_since = None;
        }
        let settled = self
            .draining_since
            .is_some_and(|since| now - since > DRAIN_TIMEOUT || self.sender.in_flight.rows() == stalled.rows);
        if self.sender.is_broken || settled {
            self.renew_producer()?;
        }
        Ok(())
    }

    /// The new producer sends the rows of the old one again. They keep their order, because no later row of their keys was sent.
    fn renew_producer(&mut self) -> Result<(), RelayError> {
        self.sender.complete_ready();
        metrics::FAILURES.inc();
        tracing::warn!(rows = self.sender.in_flight.rows(), "the outbox relay replaces its producer");
        self.sender.replace_producer()?;
        (self.draining_since, self.renewed) = (None, Instant::now());
        Ok(())
    }

    /// Drains the rows in flight, with a time limit, and releases the lease.
    async fn end(&mut self) -> Result<(), RelayError> {
        // The next relay publishes unacknowledged rows again.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, self.sender.complete_all()).await);
        self.delete().await?;
        Ok(self.session.release_lease().await?)
    }
}
