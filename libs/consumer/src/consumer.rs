//! The consumer: settings, the receive loop and the drain at shutdown.

use std::{
    error::Error as StdError,
    sync::{Arc, Weak},
    time::Duration,
};

use events::Kafka;
use pg::Pool;
use rdkafka::{
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::{BorrowedMessage, Message as _},
};
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    assignment::{Assignment, drain},
    attempt::{Attempts, Handler, OWN_CODES, PartitionAttempts},
    budget::Budget,
    circuit::Circuit,
    client::{self, Context, MAX_POLL_INTERVAL, Settings, commit},
    dead_letter::DeadLetters,
    event::Record,
    lateness, lost, metrics,
    partition::Partition,
    postponed::Postponed,
    producer,
    retry::Retries,
    source::{Source, list},
};

/// Time limit for the last commit and for leaving the group.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Why a consumer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings contradict each other.
    #[error(
        "the drain timeout {0:?} must be below {MAX_POLL_INTERVAL:?}, within which the group expects an answer"
    )]
    DrainTooLong(Duration),
    /// The task of a partition ended unexpectedly: a bug in this library.
    #[error("the task of partition {1} of {0} ended unexpectedly")]
    PartitionEnded(Arc<str>, i32),
    /// A fatal error of librdkafka.
    #[error("the Kafka client failed")]
    Kafka(#[from] KafkaError),
}

/// Reads one topic, and its retry topics, as a member of one group.
pub struct Consumer<H> {
    client: Arc<StreamConsumer<Context>>,
    assignment: Arc<Assignment>,
    settings: Settings,
    attempts: Arc<Attempts<H>>,
    budget: Budget,
    retry_budget: Budget,
    /// Notified when a paused partition may have room.
    has_room: Arc<Notify>,
}

impl<H: Handler> Consumer<H> {
    /// Makes a consumer inside a multi-threaded tokio runtime; it joins its group in [`run`](Self::run). The database of `pool` needs
    /// [`MIGRATIONS`](crate::MIGRATIONS) by then.
    ///
    /// # Errors
    /// The settings contradict each other, or librdkafka refuses them.
    pub fn new(kafka: &Kafka, pool: Pool, settings: Settings, handler: H) -> Result<Self, Error> {
        if settings.drain_timeout >= MAX_POLL_INTERVAL {
            return Err(Error::DrainTooLong(settings.drain_timeout));
        }
        let assignment = Arc::new(Assignment::default());
        let context = Context {
            topic: settings.topic.clone(),
            assignment: Arc::clone(&assignment),
            drain_timeout: settings.drain_timeout,
            runtime: Handle::current(),
        };
        let client: Arc<StreamConsumer<Context>> =
            Arc::new(client::group_config(kafka, &settings.group).create_with_context(context)?);
        let producer = producer::create(kafka)?;
        metrics::show_outcomes(&settings.topic);
        if let Some(topic) = &settings.dead_letter_topic {
            metrics::show_dead_letters(topic, H::DEAD_LETTER_CODES.iter().copied().chain(OWN_CODES));
        }
        let group = settings.group.clone();
        let attempts = Arc::new(Attempts {
            handler,
            handler_timeout: settings.handler_timeout,
            postponed: Postponed { pool, group: group.clone(), due_after: settings.due_after },
            retries: Retries { producer: producer.clone(), topics: settings.retries.clone() },
            dead_letters: DeadLetters { producer, topic: settings.dead_letter_topic.clone(), group },
            circuit: Circuit::new(&settings.topic),
            assignment: Arc::downgrade(&assignment),
            client: Arc::downgrade(&client),
        });
        Ok(Self {
            client,
            assignment,
            settings,
            attempts,
            budget: Budget::of_topic(),
            retry_budget: Budget::of_retries(),
            has_room: Arc::default(),
        })
    }

    /// The readiness check: whether a broker answers.
    pub fn ping(&self) -> impl Fn(Duration) -> Result<(), String> + Clone + Send + Sync + 'static + use<H> {
        let consumer: Weak<StreamConsumer<Context>> = Arc::downgrade(&self.client);
        move |timeout| {
            let Some(consumer) = consumer.upgrade() else { return Err("the consumer has ended".to_owned()) };
            consumer.client().fetch_metadata(None, timeout).map(drop).map_err(|error| error.to_string())
        }
    }

    /// Handles messages until `stop`, then drains: finishes the messages in flight and commits their offsets.
    ///
    /// # Errors
    /// A fatal error of librdkafka. An unreachable broker is not an error: the client reconnects.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let retries = self.settings.retries.iter().map(|retry| retry.topic.as_str());
        let topics: Vec<&str> = [self.settings.topic.as_str()].into_iter().chain(retries).collect();
        self.client.subscribe(&topics)?;
        let (client, postponed) = (Arc::downgrade(&self.client), &self.attempts.postponed);
        let result = tokio::select! {
            result = self.receive(&stop) => result,
            never = lateness::run_count(&self.settings, client, &self.assignment, postponed) => match never {},
            never = lost::run(&self.attempts, &self.settings.topic) => match never {},
        };
        self.drain().await;
        result
    }

    async fn receive(&self, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.has_room.notified() => self.resume()?,
                received = self.client.recv() => match received {
                    Ok(message) => self.dispatch(&message).await?,
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        return Err(KafkaError::MessageConsumptionFatal(code).into());
                    }
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn StdError, "receiving failed, the client tries again");
                    }
                }
            }
        }
    }

    async fn dispatch(&self, message: &BorrowedMessage<'_>) -> Result<(), Error> {
        let source = Source::new(message.topic(), message.partition());
        let is_retry = *source.topic != *self.settings.topic;
        let (queue, record) = {
            let mut partitions = self.assignment.lock();
            let assigned = partitions.entry(source.clone()).or_insert_with(|| self.assignment.assigned());
            let running = assigned.running.get_or_insert_with(|| {
                let attempts = PartitionAttempts::new(&self.attempts, &source, is_retry);
                let budget = if is_retry { &self.retry_budget } else { &self.budget };
                Partition::start(Arc::new(attempts), budget.of_partition(), Arc::clone(&self.has_room))
            });
            (running.queue.clone(), Record::new(message, is_retry, &running.budget))
        };
        // A stopped task is not in the assignment any more, so this one has panicked.
        let ended = || Error::PartitionEnded(Arc::clone(&source.topic), source.partition);
        queue.send(record).await.map_err(|_record| ended())?;
        if self.assignment.pause_if_full(&source) {
            self.client.pause(&list(std::slice::from_ref(&source)))?;
            tracing::debug!(topic = %source.topic, partition = source.partition, "partition paused, its budget is full");
        }
        Ok(())
    }

    fn resume(&self) -> Result<(), Error> {
        let ready = self.assignment.resumable();
        if ready.is_empty() {
            return Ok(());
        }
        self.client.resume(&list(&ready))?;
        Ok(())
    }

    async fn drain(self) {
        let draining = self.assignment.stop(None);
        tracing::info!(partitions = draining.len(), "consumer is draining");
        if !drain(draining, self.settings.drain_timeout).await {
            tracing::warn!("drain timeout, messages in flight will be delivered again");
        }
        let client = self.client;
        // Committing and leaving the group block their thread until the broker answers.
        let leave = tokio::task::spawn_blocking(move || {
            commit(&*client);
            client.unsubscribe();
            drop(client);
        });
        if tokio::time::timeout(LEAVE_TIMEOUT, leave).await.is_err() {
            tracing::warn!("timeout while leaving the group, messages may be delivered again");
        }
    }
}
