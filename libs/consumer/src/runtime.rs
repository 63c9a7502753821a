//! The receiving loop.

use std::{
    error::Error as StdError,
    sync::{Arc, Weak},
    time::Duration,
};

use events::Kafka;
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    message::{BorrowedMessage, Message as _},
};
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    Handler, Settings,
    assignment::{Assignment, wait_finished},
    budget::Budget,
    context::{Context, commit},
    dead_letter::DeadLetters,
    due::keep_sampled,
    message::Received,
    metrics,
    partition::{Partition, Shared},
    settings::{MAX_POLL_INTERVAL, SESSION_TIMEOUT},
};

/// How long committing and leaving the group may take at the end.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Why a consumer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings contradict each other.
    #[error(
        "the drain timeout {0:?} must be below {MAX_POLL_INTERVAL:?}, within which the group expects an answer"
    )]
    DrainTooLong(Duration),
    /// A partition's task ended by itself: a mistake in this library.
    #[error("the task of partition {0} ended by itself")]
    PartitionEnded(i32),
    /// librdkafka cannot go on.
    #[error("the Kafka client failed")]
    Kafka(#[from] KafkaError),
}

/// Reads one topic as a member of one group.
pub struct Consumer<H> {
    client: Arc<StreamConsumer<Context>>,
    assignment: Arc<Assignment>,
    shared: Arc<Shared<H>>,
    budget: Budget,
}

impl<H: Handler> Consumer<H> {
    /// Makes a consumer inside a multi-threaded tokio runtime; it joins its group in [`run`](Self::run).
    ///
    /// # Errors
    /// The settings contradict each other, or librdkafka refuses them.
    pub fn new(kafka: &Kafka, settings: Settings, handler: H) -> Result<Self, Error> {
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
        let consumer: Arc<StreamConsumer<Context>> =
            Arc::new(client_config(kafka, &settings.group).create_with_context(context)?);
        let dead_letters = DeadLetters::new(kafka, &settings)?;
        metrics::show_outcomes(&settings.topic);
        let shared = Arc::new(Shared {
            settings,
            handler,
            dead_letters,
            consumer: Arc::downgrade(&consumer),
            drained: Arc::new(Notify::new()),
        });
        Ok(Self { client: consumer, assignment, shared, budget: Budget::default() })
    }

    /// The readiness check: whether a broker answers.
    pub fn ping(&self) -> impl Fn(Duration) -> Result<(), String> + Clone + Send + Sync + 'static + use<H> {
        let consumer: Weak<StreamConsumer<Context>> = Arc::downgrade(&self.client);
        move |timeout| {
            let Some(consumer) = consumer.upgrade() else { return Err("the consumer has ended".to_owned()) };
            consumer.client().fetch_metadata(None, timeout).map(drop).map_err(|error| error.to_string())
        }
    }

    /// Handles messages until `stop`, then drains: messages in hand are finished and their offsets committed.
    ///
    /// # Errors
    /// librdkafka cannot go on. Brokers that are down are no error: it reconnects.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        self.client.subscribe(&[&self.shared.settings.topic])?;
        let result = tokio::select! {
            result = self.receive(&stop) => result,
            never = self.shared.dead_letters.keep_counted() => match never {},
            never = keep_sampled(&self.shared.settings, Arc::downgrade(&self.client), &self.assignment) => match never {},
        };
        self.drain().await;
        result
    }

    async fn receive(&self, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.shared.drained.notified() => self.resume()?,
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
        let number = message.partition();
        let (queue, message) = {
            let mut partitions = self.assignment.lock();
            let held = partitions.entry(number).or_insert_with(|| self.assignment.held());
            let running = held.running.get_or_insert_with(|| {
                Partition::start(Arc::clone(&self.shared), self.budget.of_partition())
            });
            (running.queue(), Received::new(message, &running.budget))
        };
        // A task ends when it is told to, and then it is not in the assignment any more, or by a panic.
        queue.send(message).await.or(Err(Error::PartitionEnded(number)))?;
        if self.assignment.pause_if_full(number) {
            self.client.pause(&self.list(&[number]))?;
            tracing::debug!(partition = number, "partition paused, enough is held");
        }
        Ok(())
    }

    fn resume(&self) -> Result<(), Error> {
        let ready = self.assignment.resumable();
        if ready.is_empty() {
            return Ok(());
        }
        self.client.resume(&self.list(&ready))?;
        Ok(())
    }

    async fn drain(self) {
        let stopping = self.assignment.stop(None);
        tracing::info!(partitions = stopping.len(), "consumer is draining");
        if !wait_finished(stopping, self.shared.settings.drain_timeout).await {
            tracing::warn!("a message in hand did not finish in time, it will be delivered again");
        }
        let client = self.client;
        // Committing and leaving the group wait for the broker, on a thread of their own, and not for ever.
        let leave = tokio::task::spawn_blocking(move || {
            commit(&*client);
            client.unsubscribe();
            drop(client);
        });
        if tokio::time::timeout(LEAVE_TIMEOUT, leave).await.is_err() {
            tracing::warn!("the broker did not answer in time, messages may be delivered again");
        }
    }

    fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.shared.settings.topic, *partition);
        }
        list
    }
}

/// The classic group protocol with cooperative rebalancing. The bounds keep what librdkafka prefetches small, for a pause
/// throws it away; they hold for all partitions together, and one answer of a broker comes on top, whose size is bounded
/// too. A record above that bound comes all the same, alone. What the runtime holds comes on top of that.
fn client_config(kafka: &Kafka, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (property, value) in kafka.properties() {
        config.set(property, value);
    }
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
        .set("max.poll.interval.ms", MAX_POLL_INTERVAL.as_millis().to_string())
        .set("heartbeat.interval.ms", "2000")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.offset.store", "false")
        .set("queued.min.messages", "128")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.max.bytes", "8388608")
        .set("fetch.wait.max.ms", "100")
        .set("socket.timeout.ms", "10000")
        .set("reconnect.backoff.max.ms", "2000")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("statistics.interval.ms", "1000");
    config
}
