//! What librdkafka calls back.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, Statistics,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::runtime::Handle;

use crate::{
    assignment::{Assignment, wait_finished},
    metrics,
    partition::Stopping,
};

/// The consumer's context: drains partitions when they are taken away.
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
        for (number, partition) in topic.partitions.iter().filter(|(number, _)| assigned.contains_key(number))
        {
            // Without a committed offset there is no lag to report, and everything is still to be read.
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
    /// Runs inside a poll of the receiving loop, so nothing new is handed out meanwhile.
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else { return };
        let lost = consumer.assignment_lost();
        let finishing = self.assignment.stop(Some(partitions));
        if lost {
            // Another member may have begun with them already.
            tracing::warn!(partitions = partitions.count(), "partitions are lost, their work ends at once");
            finishing.into_iter().for_each(Stopping::abandon);
        } else {
            tracing::info!(partitions = partitions.count(), "partitions are taken away, draining them");
            let drained = tokio::task::block_in_place(|| {
                self.runtime.block_on(wait_finished(finishing, self.drain_timeout))
            });
            if !drained {
                tracing::warn!("a message in hand did not finish in time, it will be delivered again");
            }
        }
        for partition in partitions.elements() {
            // A partition that was never read has no lag to forget.
            drop(metrics::LAG.remove_label_values(&[&self.topic, &partition.partition().to_string()]));
        }
        // What was lost is another member's already: there is nothing to commit, and perhaps nobody to ask.
        if !lost {
            commit(consumer);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        tracing::info!(partitions = partitions.count(), "partitions are assigned");
        self.assignment.add(partitions);
        // A partition that was paused when it was last held must not stay so.
        if let Err(error) = consumer.resume(partitions) {
            tracing::warn!(error = &error as &dyn StdError, "assigned partitions could not be resumed");
        }
    }
}

/// Commits what is stored and waits for it.
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
