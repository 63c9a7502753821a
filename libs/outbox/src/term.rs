//! A term of a relay: from the start of its session to its end. It reads the rows of its buckets, publishes them, and writes how far
//! it has come.

mod leases;
mod parking;
mod sending;
mod stalls;

use std::{
    mem,
    time::{Duration, Instant},
};

use futures::{TryFutureExt as _, future::try_join};
use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    in_flight,
    lease::BUCKETS,
    metrics,
    queue::{MAX_SEEN, Queue},
    rows::Range,
    sender::{Inputs, Sender},
    session::Session,
    topics::Topics,
};

/// Longest interval between two looks at leases, positions and stalled partitions.
const LOOK: Duration = Duration::from_millis(200);

/// Shortest interval between two reads, so that rows are batched.
const PACE: Duration = Duration::from_millis(5);

/// Shortest interval between two reads of the writers, while rows are not settled.
const HORIZON: Duration = Duration::from_millis(20);

/// Unfinished rows that are read ahead, at least.
const MIN_READ: usize = 2 * in_flight::ROWS;

/// The same at most, when the first ones belong to stalled partitions.
const MAX_READ: usize = 100_000;

/// Rows that are read at once, at least, while many wait: a read looks into each bucket of each partition.
const BATCH: usize = 1_024;

/// Time limit for the rows of healthy partitions before the producer is replaced or the relay stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a term ended.
#[derive(Debug, Error)]
pub(crate) enum RelayError {
    #[error("cannot read the outbox")]
    Database(#[from] pg::Error),
    #[error("cannot make a producer")]
    Kafka(#[from] KafkaError),
    #[error("another relay has a bucket of this one")]
    LeaseLost,
    #[error("rows that were read do not exist any more")]
    RowsMissing,
    #[error("the sequence of the outbox went back")]
    SequenceWentBack,
}

/// A term of a relay.
pub(crate) struct Term<'a> {
    inputs: &'a Inputs,
    session: Session,
    sender: Sender<'a>,
    topics: Topics,
    queue: Queue,
    /// Unfinished rows to read ahead.
    n_read: usize,
    horizon_at: Instant,
    renew_at: Instant,
    write_at: Instant,
    /// Buckets that this relay may hold.
    share: usize,
    leaving_since: Instant,
    /// A row was committed here that may be in a bucket of another relay.
    is_news: bool,
    stalls: stalls::Stalls,
}

/// The time of the next read.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// After a wake-up or an acknowledgement.
    earliest: Instant,
    /// Otherwise.
    at: Instant,
}

impl<'a> Term<'a> {
    pub(crate) fn new(inputs: &'a Inputs, session: Session) -> Result<Self, KafkaError> {
        let now = Instant::now();
        Ok(Self {
            inputs,
            session,
            sender: Sender::new(inputs)?,
            topics: Topics::default(),
            queue: Queue::default(),
            n_read: MIN_READ,
            horizon_at: now,
            renew_at: now,
            write_at: now,
            share: BUCKETS,
            leaving_since: now,
            is_news: false,
            stalls: stalls::Stalls::new(now),
        })
    }

    /// Publishes until `stop`, the first failure of the database, or the loss of a bucket.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<(), RelayError> {
        let now = Instant::now();
        let mut next = Next { earliest: now, at: now };
        while !stop.is_cancelled() {
            self.finish().await?;
            self.park_refused().await?;
            self.keep_leases().await?;
            self.check_stalls()?;
            if !self.stalls.is_draining() && next.at <= Instant::now() {
                next = self.publish().await?;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.answered_after(next.earliest) => {
                    self.sender.complete_ready();
                    next.at = next.earliest;
                }
                () = self.inputs.wake.notified() => {
                    self.is_news = true;
                    next.at = next.earliest;
                }
                () = self.inputs.notified.notified() => {
                    self.claim_soon();
                    next.at = next.earliest;
                }
                () = tokio::time::sleep_until(next.at.into()), if !self.stalls.is_draining() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        self.end().await
    }

    /// Waits for answers of the broker, which are taken together when the next rows can be sent.
    async fn answered_after(&self, earliest: Instant) {
        tokio::time::sleep_until(earliest.into()).await;
        self.sender.answered().await;
    }

    /// Closes the producer without waiting.
    pub(crate) fn close(self) {
        metrics::show_in_flight(0, 0);
        metrics::show_queue(0, 0);
        metrics::STALLED_PARTITIONS.set(0);
        self.sender.close();
    }

    /// Sends rows that were read before, while it reads the next ones. The last ones are sent at once, too.
    async fn publish(&mut self) -> Result<Next, RelayError> {
        let started = Instant::now();
        if mem::take(&mut self.is_news) && self.queue.n_buckets() < BUCKETS {
            self.session.notify().await?;
        }
        let ranges = self.ranges().await?;
        let chosen = self.choose().await?;
        let (mut n_chosen, n_before, is_long) = (chosen.len(), self.queue.len(), self.is_long());
        let read = self.session.heads(&ranges, !is_long).map_err(RelayError::from);
        // The first query in the session is the one that has to be answered before rows are sent.
        let ((), heads) = try_join(chosen.send(&self.session, &mut self.sender), read).await?;
        let has_more = if ranges.is_empty() { n_before > 0 } else { self.queue.add(heads, &ranges) };
        let n_read = self.queue.len() - n_before;
        if n_read > 0 && !has_more {
            let chosen = self.choose().await?;
            n_chosen += chosen.len();
            chosen.send(&self.session, &mut self.sender).await?;
        }
        let in_flight = &self.sender.in_flight;
        metrics::show_in_flight(in_flight.rows(), in_flight.bytes());
        metrics::show_queue(self.queue.n_buckets(), self.queue.unsettled());

        let now = Instant::now();
        // Many rows are expensive to read and to choose from, so pause for as long as it took.
        let pause = if self.is_long() { started.elapsed() } else { Duration::ZERO };
        let earliest = (started + PACE).max(now + pause);
        if has_more && n_read > 0 {
            return Ok(Next { earliest, at: earliest });
        }
        let is_stuck = n_chosen == 0 && in_flight.rows() == in_flight.stalled(now).rows;
        if is_stuck && has_more && self.n_read < MAX_READ {
            self.n_read = (self.n_read * 4).min(MAX_READ);
            return Ok(Next { earliest, at: earliest });
        }
        if self.queue.len() + BATCH <= MIN_READ {
            self.n_read = MIN_READ;
        }
        let wait = if self.queue.unsettled() > 0 { HORIZON } else { self.inputs.poll };
        Ok(Next { earliest, at: earliest.max(now + wait) })
    }

    /// Reads the writers, and returns which rows to read next: none while enough are here.
    async fn ranges(&mut self) -> Result<Vec<Range>, RelayError> {
        let now = Instant::now();
        if self.queue.unsettled() > 0 && self.horizon_at <= now {
            self.horizon_at = now + HORIZON;
            if !self.queue.observe(self.session.horizon().await?) {
                return Err(RelayError::SequenceWentBack);
            }
        }
        let is_full = self.queue.unsettled() >= MAX_SEEN && !self.queue.can_settle();
        if self.queue.len() + BATCH > self.n_read || is_full {
            return Ok(Vec::new());
        }
        Ok(self.queue.ranges(self.n_read))
    }

    /// Whether reads have many rows.
    fn is_long(&self) -> bool {
        self.n_read > MIN_READ || self.queue.unsettled() > MIN_READ
    }

    /// Drains the rows in flight, with a time limit, and gives the buckets back.
    async fn end(&mut self) -> Result<(), RelayError> {
        // The next owners publish unacknowledged rows again.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, self.sender.complete_all()).await);
        self.finish().await?;
        self.park_refused().await?;
        self.session.release(&self.queue.progress()).await?;
        Ok(self.session.leave().await?)
    }
}
