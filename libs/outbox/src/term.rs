//! A term of a relay: from the start of its session to its end. It reads the rows of its buckets, publishes them, and writes how far
//! it has come.

mod leases;
mod parking;
mod stalls;

use std::{
    collections::HashSet,
    mem,
    time::{Duration, Instant},
};

use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{
    in_flight,
    lease::BUCKETS,
    metrics,
    publisher::Topics,
    queue::{MAX_SEEN, Queue},
    rows::Key,
    sender::{Inputs, Sender},
    session::Session,
};

/// Poll interval without a wake-up: for rows whose writer did not call `notify_one`.
const POLL: Duration = Duration::from_millis(200);

/// Shortest interval between two reads, so that rows are batched.
const PACE: Duration = Duration::from_millis(5);

/// Shortest interval between two reads of the writers, while rows are not settled.
const HORIZON: Duration = Duration::from_millis(20);

/// Unfinished rows that are read ahead, at least.
const MIN_READ: usize = 2 * in_flight::ROWS;

/// The same at most, when the first ones belong to stalled partitions.
const MAX_READ: usize = 100_000;

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
                () = self.sender.next_outcome() => {
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
                () = tokio::time::sleep(POLL) => {}
            }
        }
        self.end().await
    }

    /// Closes the producer without waiting.
    pub(crate) fn close(self) {
        metrics::show_in_flight(0, 0);
        metrics::show_queue(0, 0);
        metrics::STALLED_PARTITIONS.set(0);
        self.sender.close();
    }

    /// Reads rows and sends those that can be sent.
    async fn publish(&mut self) -> Result<Next, RelayError> {
        let started = Instant::now();
        if mem::take(&mut self.is_news) && self.queue.n_buckets() < BUCKETS {
            self.session.notify().await?;
        }
        let has_more = self.read().await?;
        self.park_followers().await?;
        self.topics.refresh(self.queue.heads(), &self.sender.publisher).await;
        let topics = &self.topics;
        let place = |key: &Key| topics.place(key);
        let chosen = self.sender.in_flight.choose(self.queue.heads(), place, Instant::now());
        self.send(&chosen).await?;
        let in_flight = &self.sender.in_flight;
        metrics::show_in_flight(in_flight.rows(), in_flight.bytes());
        metrics::show_queue(self.queue.n_buckets(), self.queue.unsettled());

        let now = Instant::now();
        // Many rows are expensive to read and to choose from, so pause for as long as it took.
        let pause = if self.is_long() { started.elapsed() } else { Duration::ZERO };
        let earliest = (started + PACE).max(now + pause);
        let is_stuck = chosen.is_empty() && in_flight.rows() == in_flight.stalled(now).rows;
        if is_stuck && has_more && self.n_read < MAX_READ {
            self.n_read = (self.n_read * 4).min(MAX_READ);
            return Ok(Next { earliest, at: earliest });
        }
        if self.queue.len() < MIN_READ {
            self.n_read = MIN_READ;
        }
        let wait = if self.queue.unsettled() > 0 { HORIZON } else { POLL };
        Ok(Next { earliest, at: earliest.max(now + wait) })
    }

    /// Reads rows; returns whether there may be more.
    async fn read(&mut self) -> Result<bool, RelayError> {
        let now = Instant::now();
        if self.queue.unsettled() > 0 && self.horizon_at <= now {
            self.horizon_at = now + HORIZON;
            if !self.queue.observe(self.session.horizon().await?) {
                return Err(RelayError::SequenceWentBack);
            }
        }
        let is_full = self.queue.unsettled() >= MAX_SEEN && !self.queue.can_settle();
        if self.queue.len() >= self.n_read || is_full {
            return Ok(true);
        }
        let ranges = self.queue.ranges(self.n_read);
        if ranges.is_empty() {
            return Ok(false);
        }
        let heads = self.session.heads(&ranges, !self.is_long()).await?;
        Ok(self.queue.add(heads, &ranges))
    }

    /// Whether reads have many rows.
    fn is_long(&self) -> bool {
        self.n_read > MIN_READ || self.queue.unsettled() > MIN_READ
    }

    /// Reads the chosen rows that are not here, and sends all.
    async fn send(&mut self, seqs: &[i64]) -> Result<(), RelayError> {
        if seqs.is_empty() {
            return Ok(());
        }
        let (mut rows, others) = self.queue.take_whole(seqs);
        if !rows.is_empty() && !self.session.still_holds(self.queue.fences()).await? {
            return Err(RelayError::LeaseLost);
        }
        let (places, parked) = self.queue.places(&others);
        if !places.is_empty() {
            rows.extend(self.session.rows(&places).await?);
        }
        if !parked.is_empty() {
            rows.extend(self.session.parked_rows(&parked).await?);
        }
        if rows.len() < seqs.len() {
            return Err(RelayError::RowsMissing);
        }
        let mut unsent: HashSet<i64> = seqs.iter().copied().collect();
        for row in &rows {
            // Checked after the read, in case this process was frozen during it.
            if !self.session.holds_leases() {
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
