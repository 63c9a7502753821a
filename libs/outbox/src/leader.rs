//! The active relay: reads rows, publishes them, deletes acknowledged rows, and renews the lease.

use std::{
    collections::HashSet,
    error::Error as StdError,
    future::pending,
    mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use events::Kafka;
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, try_join},
    stream::FuturesUnordered,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    in_flight::{self, InFlight},
    metrics,
    partition::Refusal,
    publisher::{Delivery, Fault, Publisher, Topics, fault},
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

/// The state of the relay, for [`Relay::ping`](crate::Relay::ping).
#[derive(Clone, Default)]
pub(crate) enum State {
    /// Another relay publishes.
    #[default]
    Standby,
    /// Publishes with this producer.
    Active(Arc<Publisher>),
    /// Failed; waits for the next attempt.
    Failed(String),
}

/// What a relay has in all of its terms.
pub(crate) struct Inputs {
    pub(crate) kafka: Kafka,
    pub(crate) wake: Arc<Notify>,
    pub(crate) state: Mutex<State>,
}

impl Inputs {
    pub(crate) fn set_state(&self, state: State) {
        *self.state.lock().expect("no panic under this lock") = state;
    }
}

/// A term as the active relay.
pub(crate) struct Leader<'a> {
    inputs: &'a Inputs,
    session: Session,
    publisher: Arc<Publisher>,
    deliveries: FuturesUnordered<BoxFuture<'static, Delivery>>,
    in_flight: InFlight,
    topics: Topics,
    /// Acknowledged rows, not deleted yet.
    done: Vec<i64>,
    /// Refused rows, not parked yet.
    refused: Vec<(i64, KafkaError)>,
    scan: usize,
    /// The producer has failed.
    is_broken: bool,
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
        let publisher = Arc::new(Publisher::new(&inputs.kafka)?);
        inputs.set_state(State::Active(Arc::clone(&publisher)));
        Ok(Self {
            inputs,
            session,
            publisher,
            deliveries: FuturesUnordered::new(),
            in_flight: InFlight::default(),
            topics: Topics::default(),
            done: Vec::new(),
            refused: Vec::new(),
            scan: MIN_SCAN,
            is_broken: false,
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
                delivery = acknowledgement(&mut self.deliveries) => {
                    self.complete(delivery);
                    self.complete_ready();
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
        close(self.publisher);
    }

    /// Deletes acknowledged rows and reads the next ones, in one round trip, and sends them.
    async fn publish(&mut self) -> Result<Next, RelayError> {
        let started = Instant::now();
        let done = self.take_done();
        let ((), mut heads) = try_join(self.session.delete(&done), self.session.heads(self.scan)).await?;
        deleted(&done);
        let has_more = heads.len() == self.scan;
        // The statements run in this order unless they had to be prepared; then deleted rows can appear here.
        let done: HashSet<i64> = done.into_iter().collect();
        heads.retain(|head| !done.contains(&head.seq));
        self.topics.refresh(&heads, &self.publisher).await;
        let topics = &self.topics;
        let choice = self.in_flight.choose(&heads, |key| topics.place(key), Instant::now());
        if !choice.seqs.is_empty() {
            self.send(&choice.seqs).await?;
        }
        metrics::show_in_flight(self.in_flight.rows(), self.in_flight.bytes());

        let now = Instant::now();
        // A deep scan is expensive for the database, so pause for as long as it took.
        let pause = if self.scan > MIN_SCAN { started.elapsed() } else { Duration::ZERO };
        let earliest = (started + PACE).max(now + pause);
        let is_stuck = choice.seqs.is_empty() && self.in_flight.rows() == self.in_flight.stalled(now).rows;
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
            let Some(&(_, partition)) = self.in_flight.place(row.seq) else { continue };
            match self.publisher.send(row, partition) {
                Ok(delivery) => {
                    unsent.remove(&row.seq);
                    self.deliveries.push(delivery);
                }
                // Acknowledgements make room.
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => break,
                Err(error) => {
                    unsent.remove(&row.seq);
                    match fault(&error) {
                        // Refused by the producer, which checks each message alone.
                        Fault::Message => self.refused.push((row.seq, error)),
                        _ => self.complete(Delivery { seq: row.seq, outcome: Err(error) }),
                    }
                }
            }
        }
        for seq in unsent {
            self.in_flight.withdraw(seq);
        }
        Ok(())
    }

    fn complete_ready(&mut self) {
        while let Some(Some(delivery)) = self.deliveries.next().now_or_never() {
            self.complete(delivery);
        }
    }

    fn complete(&mut self, Delivery { seq, outcome }: Delivery) {
        let now = Instant::now();
        let Err(error) = outcome else {
            self.in_flight.acknowledged(seq, now);
            self.done.push(seq);
            return;
        };
        match fault(&error) {
            Fault::Message => {
                if self.in_flight.refused(seq) == Refusal::Single {
                    self.refused.push((seq, error));
                }
            }
            Fault::Partition => {
                let place = self.in_flight.place(seq);
                tracing::warn!(error = &error as &dyn StdError, ?place, "a partition did not take an event");
                metrics::FAILURES.inc();
                self.in_flight.failed(seq, now);
            }
            Fault::Producer => {
                tracing::warn!(error = &error as &dyn StdError, "the producer failed");
                self.in_flight.withdraw(seq);
                self.is_broken = true;
            }
        }
    }

    fn take_done(&mut self) -> Vec<i64> {
        if !self.done.is_empty() {
            fail_point::hit("outbox.published");
        }
        mem::take(&mut self.done)
    }

    async fn delete(&mut self) -> Result<(), RelayError> {
        let done = self.take_done();
        self.session.delete(&done).await?;
        deleted(&done);
        Ok(())
    }

    /// Parks the rows that the broker refuses even alone.
    async fn park(&mut self) -> Result<(), RelayError> {
        for (seq, error) in mem::take(&mut self.refused) {
            let parked = self.session.park(seq, &error.to_string()).await?;
            self.in_flight.withdraw(seq);
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
        let stalled = self.in_flight.stalled(now);
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
            .is_some_and(|since| now - since > DRAIN_TIMEOUT || self.in_flight.rows() == stalled.rows);
        if self.is_broken || settled {
            self.renew_producer()?;
        }
        Ok(())
    }

    /// The new producer sends the rows of the old one again. They keep their order, because no later row of their keys was sent.
    fn renew_producer(&mut self) -> Result<(), RelayError> {
        self.complete_ready();
        metrics::FAILURES.inc();
        tracing::warn!(rows = self.in_flight.rows(), "the outbox relay replaces its producer");
        let publisher = Arc::new(Publisher::new(&self.inputs.kafka)?);
        self.inputs.set_state(State::Active(Arc::clone(&publisher)));
        close(mem::replace(&mut self.publisher, publisher));
        self.deliveries.clear();
        self.in_flight.clear(Instant::now());
        (self.is_broken, self.draining_since, self.renewed) = (false, None, Instant::now());
        Ok(())
    }

    /// Drains the rows in flight, with a time limit, and releases the lease.
    async fn end(&mut self) -> Result<(), RelayError> {
        let draining = async {
            while let Some(delivery) = self.deliveries.next().await {
                self.complete(delivery);
            }
        };
        // The next relay publishes unacknowledged rows again.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, draining).await);
        self.delete().await?;
        self.session.release_lease().await?;
        Ok(())
    }
}

fn deleted(done: &[i64]) {
    if !done.is_empty() {
        fail_point::hit("outbox.deleted");
    }
}

/// The next answer of the broker; pending when no row is in flight.
async fn acknowledgement(deliveries: &mut FuturesUnordered<BoxFuture<'static, Delivery>>) -> Delivery {
    match deliveries.next().await {
        Some(delivery) => delivery,
        None => pending().await,
    }
}

/// Closes a producer. Dropping it blocks until its thread ends, so a runtime worker must not do it.
fn close(publisher: Arc<Publisher>) {
    publisher.purge();
    tokio::task::spawn_blocking(move || drop(publisher));
}
