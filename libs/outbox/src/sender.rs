//! Sends rows with one producer, and sorts them by the broker's answer: acknowledged, refused, or to be sent again.

use std::{
    error::Error as StdError,
    mem,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use events::Kafka;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::Notify;

use crate::{
    in_flight::InFlight,
    metrics,
    partition::Refusal,
    publisher::{Delivery, Fault, Publisher, fault},
    rows::Pending,
};

/// The state of the relay, for [`Relay::ping`](crate::Relay::ping).
#[derive(Clone, Default)]
pub(crate) enum State {
    /// Has no session yet, or a relay of the previous release publishes.
    #[default]
    Waiting,
    /// Publishes with this producer.
    Active(Arc<Publisher>),
    /// Failed; waits for the next attempt.
    Failed(String),
}

/// What a relay has in all of its terms.
pub(crate) struct Inputs {
    pub(crate) kafka: Kafka,
    /// After a COMMIT of this replica.
    pub(crate) wake: Arc<Notify>,
    /// After a call of [`Session::notify`](crate::session::Session::notify).
    pub(crate) notified: Arc<Notify>,
    /// Interval of reads without a wake-up.
    pub(crate) poll: Duration,
    pub(crate) state: Mutex<State>,
}

impl Inputs {
    pub(crate) fn set_state(&self, state: State) {
        *self.state.lock().expect("no panic under this lock") = state;
    }

    fn new_publisher(&self) -> Result<Arc<Publisher>, KafkaError> {
        let publisher = Arc::new(Publisher::new(&self.kafka)?);
        self.set_state(State::Active(Arc::clone(&publisher)));
        Ok(publisher)
    }
}

/// A producer and its rows.
pub(crate) struct Sender<'a> {
    inputs: &'a Inputs,
    pub(crate) publisher: Arc<Publisher>,
    /// Rows that the producer has taken and not answered.
    n_unanswered: usize,
    pub(crate) in_flight: InFlight,
    /// Acknowledged rows, not taken yet.
    done: Vec<i64>,
    /// Refused rows, not parked yet.
    pub(crate) refused: Vec<(i64, KafkaError)>,
    pub(crate) is_broken: bool,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(inputs: &'a Inputs) -> Result<Self, KafkaError> {
        Ok(Self {
            inputs,
            publisher: inputs.new_publisher()?,
            n_unanswered: 0,
            in_flight: InFlight::default(),
            done: Vec::new(),
            refused: Vec::new(),
            is_broken: false,
        })
    }

    /// Sends a row that was chosen; `false` when the producer is full, until acknowledgements make room.
    pub(crate) fn send(&mut self, row: &Pending) -> bool {
        let Some(&(_, partition)) = self.in_flight.place(row.seq) else { return true };
        match self.publisher.send(row, partition) {
            Ok(()) => self.n_unanswered += 1,
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => return false,
            // Refused by the producer, which checks each message alone.
            Err(error) if fault(&error) == Fault::Message => self.refused.push((row.seq, error)),
            Err(error) => self.complete(Delivery { seq: row.seq, outcome: Err(error) }),
        }
        true
    }

    /// Waits for answers of the broker. They may have been taken already.
    pub(crate) async fn answered(&self) {
        self.publisher.delivered().await;
    }

    /// Takes the answers that have arrived.
    pub(crate) fn complete_ready(&mut self) {
        for delivery in self.publisher.take_deliveries() {
            self.n_unanswered -= 1;
            self.complete(delivery);
        }
    }

    /// Waits for all answers.
    pub(crate) async fn complete_all(&mut self) {
        self.complete_ready();
        while self.n_unanswered > 0 {
            self.answered().await;
            self.complete_ready();
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

    /// Takes the acknowledged rows.
    pub(crate) fn take_done(&mut self) -> Vec<i64> {
        if !self.done.is_empty() {
            fail_point::hit("outbox.published");
        }
        mem::take(&mut self.done)
    }

    /// Replaces the producer: no row is in flight.
    pub(crate) fn replace_producer(&mut self) -> Result<(), KafkaError> {
        close(mem::replace(&mut self.publisher, self.inputs.new_publisher()?));
        self.n_unanswered = 0;
        self.in_flight.clear(Instant::now());
        self.is_broken = false;
        Ok(())
    }

    /// Closes the producer without waiting.
    pub(crate) fn close(self) {
        close(self.publisher);
    }
}

/// Closes a producer. Dropping it blocks until its thread ends, so a runtime worker must not do it.
fn close(publisher: Arc<Publisher>) {
    publisher.purge();
    tokio::task::spawn_blocking(move || drop(publisher));
}
