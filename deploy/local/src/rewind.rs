//! Sets the consumer group of email-consumer back to an earlier time, so that it handles events again whose offsets were committed before
//! their mails were sent. An event whose mail was sent is recognised by its id.

use std::time::Duration;

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    metadata::MetadataTopic,
};

/// Limit for one answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(10);

const GROUP: &str = "email-consumer";
const TOPIC: &str = "orders.events";

/// Arguments of `muster rewind`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How far back, in minutes: before the first event that was lost. The topic keeps events for seven days.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub(crate) minutes: u32,
    /// Another Kafka cluster than that of the local stack. Stop every instance of email-consumer before.
    #[arg(long)]
    pub(crate) bootstrap_servers: Option<String>,
}

/// Commits the earlier offsets and returns the number of events that the group gets again. Kafka accepts them only while the group has
/// no member.
pub(crate) async fn rewind(servers: String, minutes: u32) -> anyhow::Result<i64> {
    tokio::task::spawn_blocking(move || commit_earlier(&servers, minutes))
        .await
        .context("the rewind panicked")?
}

fn commit_earlier(servers: &str, minutes: u32) -> anyhow::Result<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .create()
        .context("the Kafka client")?;
    let metadata = consumer.fetch_metadata(Some(TOPIC), TIMEOUT).context("no answer from Kafka")?;
    let since = Utc::now() - TimeDelta::minutes(minutes.into());
    let (mut partitions, mut times) = (TopicPartitionList::new(), TopicPartitionList::new());
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        partitions.add_partition(TOPIC, partition.id());
        times.add_partition_offset(TOPIC, partition.id(), Offset::Offset(since.timestamp_millis()))?;
    }
    let committed = consumer.committed_offsets(partitions, TIMEOUT).context("the committed offsets")?;
    let found = consumer.offsets_for_times(times, TIMEOUT).context("the offsets of that time")?;
    let mut earlier = TopicPartitionList::new();
    let mut n_events = 0;
    for committed in committed.elements() {
        let found = found.find_partition(TOPIC, committed.partition()).map(|found| found.offset());
        if let (Offset::Offset(end), Some(Offset::Offset(start))) = (committed.offset(), found)
            && start < end
        {
            earlier.add_partition_offset(TOPIC, committed.partition(), Offset::Offset(start))?;
            n_events += end - start;
        }
    }
    if n_events > 0 {
        consumer
            .commit(&earlier, CommitMode::Sync)
            .context("Kafka refuses the offsets: stop every instance of email-consumer first")?;
    }
    Ok(n_events)
}
