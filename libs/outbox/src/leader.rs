//! The active relay: reads rows, publishes them, deletes what the broker has, and keeps the lead.

use std::{
    collections::HashSet,
    error::Error as StdError,
    future::pending,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, try_join},
    stream::FuturesUnordered,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio_util::sync::CancellationToken;

use crate::{
    metrics,
    partition::Refusal,
    publisher::{Delivery, Fault, Publisher, fault},
    relay::{Relay, RelayError, State},
    session::Session,
    topics::Topics,
    window::{self, Window},
};

/// How often rows are looked for when nobody says that there are some: those of other replicas, and of the past.
const POLL: Duration = Duration::from_millis(200);

/// How soon after the last time at the earliest, so that what comes meanwhile goes together.
const PACE: Duration = Duration::from_millis(5);

/// How many of the oldest rows are looked at, at least.
const LOOK: usize = 2 * window::ROWS;

/// How many of them at most, when those before them belong to partitions that take nothing.
const MAX_LOOK: usize = 100_000;

/// How long a partition may take nothing before the producer is replaced, in case it is to blame; and again after as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the rows of healthy partitions may take to be acknowledged before the producer is dropped.
const SETTLE: Duration = Duration::from_secs(2);

/// A term as the active relay.
pub(crate) struct Leader<'a> {
    relay: &'a Relay,
    session: Session,
    publisher: Arc<Publisher>,
    deliveries: FuturesUnordered<BoxFuture<'static, Delivery>>,
    window: Window,
    topics: Topics,
    /// Acknowledged, and not deleted yet.
    done: Vec<i64>,
    /// Refused alone, and not parked yet.
    refused: Vec<(i64, KafkaError)>,
    look: usize,
    /// The producer is beyond repair.
    is_broken: bool,
    /// Since when nothing is sent, because the producer is to be replaced.
    settling: Option<Instant>,
    renewed: Instant,
    n_stalled: usize,
}

/// When rows are looked for.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// Not before, whatever happens.
    earliest: Instant,
    /// If nothing happens.
    at: Instant,
}

impl<'a> Leader<'a> {
    pub(crate) fn new(relay: &'a Relay, session: Session) -> Result<Self, KafkaError> {
        let publisher = Arc::new(Publisher::new(relay.kafka())?);
        relay.set_state(State::Active(Arc::clone(&publisher)));
        Ok(Self {
            relay,
            session,
            publisher,
            deliveries: FuturesUnordered::new(),
            window: Window::default(),
            topics: Topics::default(),
            done: Vec::new(),
            refused: Vec::new(),
            look: LOOK,
            is_broken: false,
            settling: None,
            renewed: Instant::now(),
            n_stalled: 0,
        })
    }

    /// Publishes until `stop` or the first failure of the database, or until another relay has the lead.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<(), RelayError> {
        let now = Instant::now();
        let mut next = Next { earliest: now, at: now };
        while !stop.is_cancelled() {
            if !self.session.keep_lead().await? {
                return Err(RelayError::LeadLost);
            }
            self.park().await?;
            self.watch()?;
            if self.settling.is_some() {
                self.delete().await?;
            } else if next.at <= Instant::now() {
                next = self.publish().await?;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                delivery = acknowledgement(&mut self.deliveries) => {
                    self.settle(delivery);
                    self.settle_ready();
                    next.at = next.earliest;
                }
                () = self.relay.woken() => next.at = next.earliest,
                () = tokio::time::sleep_until(next.at.into()), if self.settling.is_none() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        self.end().await
    }

    /// Takes leave of the producer without waiting for it.
    pub(crate) fn dismiss(self) {
        metrics::show_in_flight(0, 0);
        metrics::STALLED_PARTITIONS.set(0);
        dismiss(self.publisher);
    }

    /// Deletes what is done, reads what is next, in one round trip, and sends it.
    async fn publish(&mut self) -> Result<Next, RelayError> {
        let started = Instant::now();
        let done = self.take_done();
        let ((), mut heads) = try_join(self.session.delete(&done), self.session.heads(self.look)).await?;
        deleted(&done);
        let there_may_be_more = heads.len() == self.look;
        // Unless they had to be prepared the statements run in this order, and nothing of it is found.
        let done: HashSet<i64> = done.into_iter().collect();
        heads.retain(|head| !done.contains(&head.seq));
        self.topics.learn(&heads, &self.publisher).await;
        let topics = &self.topics;
        let choice = self.window.choose(&heads, |key| topics.place(key), Instant::now());
        if !choice.seqs.is_empty() {
            self.send(&choice.seqs).await?;
        }
        metrics::show_in_flight(self.window.rows(), self.window.bytes());

        let now = Instant::now();
        // Looking past many rows takes the database some time, which is not to be all of its time.
        let pause = if self.look > LOOK { started.elapsed() } else { Duration::ZERO };
        let earliest = (started + PACE).max(now + pause);
        let is_stuck = choice.seqs.is_empty() && self.window.rows() == self.window.stalled(now).rows;
        if is_stuck && there_may_be_more && self.look < MAX_LOOK {
            self.look = (self.look * 4).min(MAX_LOOK);
            return Ok(Next { earliest, at: earliest });
        }
        if !choice.seqs.is_empty() && choice.depth < self.look / 8 {
            self.look = (self.look / 4).max(LOOK);
        }
        Ok(Next { earliest, at: now + POLL })
    }

    /// Reads rows that were chosen and hands them to the producer.
    async fn send(&mut self, seqs: &[i64]) -> Result<(), RelayError> {
        let rows = self.session.rows(seqs).await?;
        let mut unsent: HashSet<i64> = seqs.iter().copied().collect();
        for row in &rows {
            // Here and not before the reading: a process that was frozen meanwhile finds out.
            if !self.session.leads() {
                return Err(RelayError::LeadLost);
            }
            let Some(&(_, partition)) = self.window.place(row.seq) else { continue };
            match self.publisher.send(row, partition) {
                Ok(delivery) => {
                    unsent.remove(&row.seq);
                    self.deliveries.push(delivery);
                }
                // Room comes with the acknowledgements of what is queued.
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => break,
                Err(error) => {
                    unsent.remove(&row.seq);
                    match fault(&error) {
                        // By the producer itself: it looks at each message alone.
                        Fault::Message => self.refused.push((row.seq, error)),
                        _ => self.settle(Delivery { seq: row.seq, outcome: Err(error) }),
                    }
                }
            }
        }
        for seq in unsent {
            self.window.take_back(seq);
        }
        Ok(())
    }

    fn settle_ready(&mut self) {
        while let Some(Some(delivery)) = self.deliveries.next().now_or_never() {
            self.settle(delivery);
        }
    }

    fn settle(&mut self, Delivery { seq, outcome }: Delivery) {
        let now = Instant::now();
        let Err(error) = outcome else {
            self.window.took(seq, now);
            self.done.push(seq);
            return;
        };
        match fault(&error) {
            Fault::Message => {
                if self.window.refused(seq) == Refusal::Alone {
                    self.refused.push((seq, error));
                }
            }
            Fault::Partition => {
                let place = self.window.place(seq);
                tracing::warn!(error = &error as &dyn StdError, ?place, "a partition did not take an event");
                metrics::FAILURES.inc();
                self.window.failed(seq, now);
            }
            Fault::Producer => {
                tracing::warn!(error = &error as &dyn StdError, "the producer failed");
                self.window.take_back(seq);
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

    /// Sets aside what the broker refuses even alone.
    async fn park(&mut self) -> Result<(), RelayError> {
        for (seq, error) in mem::take(&mut self.refused) {
            let parked = self.session.park(seq, &error.to_string()).await?;
            self.window.take_back(seq);
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

    /// Looks whether partitions take nothing, and replaces the producer when that may help.
    fn watch(&mut self) -> Result<(), RelayError> {
        let now = Instant::now();
        let stalled = self.window.stalled(now);
        if stalled.partitions != self.n_stalled {
            tracing::warn!(partitions = stalled.partitions, rows = stalled.rows, "partitions take no events");
            self.n_stalled = stalled.partitions;
            metrics::STALLED_PARTITIONS.set(stalled.partitions.try_into().unwrap_or(i64::MAX));
        }
        // What others need, or for longer than the broker's own recovery takes.
        let fills = stalled.rows > window::ROWS / 2 || stalled.bytes > window::BYTES / 2;
        let hangs = stalled.longest.min(now - self.renewed) > PATIENCE;
        if fills || hangs {
            self.settling.get_or_insert(now);
        } else if stalled.partitions == 0 {
            self.settling = None;
        }
        let settled =
            self.settling.is_some_and(|since| now - since > SETTLE || self.window.rows() == stalled.rows);
        if self.is_broken || settled {
            self.renew_producer()?;
        }
        Ok(())
    }

    /// What the old producer held is sent again by the new one. Nothing of it can be overtaken, because nothing else of its
    /// keys was sent.
    fn renew_producer(&mut self) -> Result<(), RelayError> {
        self.settle_ready();
        metrics::FAILURES.inc();
        tracing::warn!(rows = self.window.rows(), "the outbox relay replaces its producer");
        let publisher = Arc::new(Publisher::new(self.relay.kafka())?);
        self.relay.set_state(State::Active(Arc::clone(&publisher)));
        dismiss(mem::replace(&mut self.publisher, publisher));
        self.deliveries.clear();
        self.window.forget(Instant::now());
        (self.is_broken, self.settling, self.renewed) = (false, None, Instant::now());
        Ok(())
    }

    /// Waits for what is on its way, for a while, and gives the lead back.
    async fn end(&mut self) -> Result<(), RelayError> {
        let settling = async {
            while let Some(delivery) = self.deliveries.next().await {
                self.settle(delivery);
            }
        };
        // What is not acknowledged by then is published again by the next relay.
        drop(tokio::time::timeout(SETTLE, settling).await);
        self.delete().await?;
        self.session.give_back().await?;
        Ok(())
    }
}

fn deleted(done: &[i64]) {
    if !done.is_empty() {
        fail_point::hit("outbox.deleted");
    }
}

/// The next answer of the broker, if one is outstanding.
async fn acknowledgement(deliveries: &mut FuturesUnordered<BoxFuture<'static, Delivery>>) -> Delivery {
    match deliveries.next().await {
        Some(delivery) => delivery,
        None => pending().await,
    }
}

/// Ends a producer. Whoever drops its last clone waits for its thread, which must not be a runtime worker.
fn dismiss(publisher: Arc<Publisher>) {
    publisher.purge();
    tokio::task::spawn_blocking(move || drop(publisher));
}
