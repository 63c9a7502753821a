//! The Kafka client: settings, properties, and the callbacks for rebalances and statistics.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use events::Kafka;
use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::runtime::Handle;

use crate::{
    assignment::{Assignment, drain},
    metrics,
    partition::Draining,
    retry::Retry,
    source::Source,
};

/// Settings of one consumer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The topic to read.
    pub topic: String,
    /// The consumer group: members share the partitions.
    pub group: String,
    /// The retry topics of the group, in the order in which a message that fails for now goes through them. After the last one it
    /// becomes a dead letter.
    pub retries: Vec<Retry>,
    /// The topic for messages that cannot be handled. `None`: they are logged, counted and dropped, for events of no lasting value.
    pub dead_letter_topic: Option<String>,
    /// Time limit of the handler for one message; then its future is dropped and the message is retried. Choose at least the
    /// sum of the handler's own timeouts: a shorter limit cancels work that could still succeed.
    pub handler_timeout: Duration,
    /// Time limit for the messages in flight when a partition is revoked or the consumer stops; then their futures are dropped.
    /// The rebalance of the whole group waits for the drain. Must be below [`MAX_POLL_INTERVAL`].
    pub drain_timeout: Duration,
    /// The age at which a record is due, and late if it is not finished.
    pub due_after: Duration,
}

/// Session timeout of a silent member. Short, because a stalled join of the classic protocol lasts as long.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the group waits for a member that has to give up partitions.
pub const MAX_POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The context of the Kafka client. Drains partitions that are revoked.
pub(crate) struct Context {
    pub(crate) topic: String,
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) drain_timeout: Duration,
    pub(crate) runtime: Handle,
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        let assigned = self.assignment.lock();
        let is_assigned = |number: i32| assigned.contains_key(&Source::new(&self.topic, number));
        for (number, partition) in topic.partitions.iter().filter(|(number, _)| is_assigned(**number)) {
            // Without a committed offset the lag is unknown: count all records.
            let lag = match partition.consumer_lag {
                lag @ 0.. => lag,
                _ => (partition.hi_offset - partition.lo_offset.max(0)).max(0),
            };
            metrics::LAG.with_label_values(&[&self.topic, &number.to_string()]).set(lag);
        }
        drop(assigned);
        self.assignment.observe(&self.topic);
    }
}

impl ConsumerContext for Context {
    /// Runs inside a poll of the receive loop, so no record is dispatched meanwhile.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else { return };
        let lost = consumer.assignment_lost();
        let sources = Source::all(partitions);
        let draining = self.assignment.stop(Some(&sources));
        if lost {
            // Another member may already handle them.
            tracing::warn!(partitions = partitions.count(), "partitions are lost, cancelling their work");
            draining.into_iter().for_each(Draining::abandon);
        } else {
            tracing::info!(partitions = partitions.count(), "partitions are revoked, draining them");
            let drained =
                tokio::task::block_in_place(|| self.runtime.block_on(drain(draining, self.drain_timeout)));
            if !drained {
                tracing::warn!("drain timeout, messages in flight will be delivered again");
            }
        }
        for source in sources.iter().filter(|source| *source.topic == *self.topic) {
            // A partition without records has no lag to remove.
            drop(metrics::LAG.remove_label_values(&[&self.topic, &source.partition.to_string()]));
        }
        // A lost partition belongs to another member: there is nothing to commit.
        if !lost {
            commit(consumer);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        tracing::info!(partitions = partitions.count(), "partitions are assigned");
        self.assignment.add(Source::all(partitions));
        // A partition can still be paused from an earlier assignment.
        if let Err(error) = consumer.resume(partitions) {
            tracing::warn!(error = &error as &dyn StdError, "cannot resume assigned partitions");
        }
    }
}

/// Commits the stored offsets and waits for the broker.
pub(crate) fn commit(consumer: &impl Consumer<Context>) {
    match consumer.commit_consumer_state(CommitMode::Sync) {
        Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn StdError,
                "offsets not committed, their messages will be delivered again"
            );
        }
    }
}

/// The properties of every client.
pub(crate) fn client_config(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (property, value) in kafka.properties() {
        config.set(property, value);
    }
    config.set("reconnect.backoff.max.ms", "2000");
    config
}

/// The classic group protocol with cooperative rebalancing. The prefetch of librdkafka is small, because a pause discards it.
/// Its bounds hold for all partitions together; one response of a broker, also bounded, can be in memory beside it. A record
/// above that bound arrives alone.
pub(crate) fn group_config(kafka: &Kafka, group: &str) -> ClientConfig {
    let mut config = client_config(kafka);
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
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("statistics.interval.ms", "1000");
    config
}
