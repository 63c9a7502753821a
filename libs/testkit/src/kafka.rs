//! Reading a topic as it is, without a consumer group.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
    metadata::{MetadataPartition, MetadataTopic},
};

use crate::{endpoints, wait_for};

/// How long messages may take to be there.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long the broker may take to answer a question about a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// A message as it is in the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// The partition it is in.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// The key, as text.
    pub key: Option<String>,
    /// The payload; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers, as text.
    pub headers: BTreeMap<String, String>,
}

/// The broker of this run, as a reader sees it.
#[derive(Debug)]
pub struct Kafka;

impl Kafka {
    /// Reads a topic from its beginning to its end, once there are `at_least` that many messages.
    ///
    /// Messages come in the order of their partition; those of different partitions as they happen to arrive. What is
    /// there at that moment is all returned, so a message too many does not hide.
    pub async fn read(topic: &str, at_least: usize) -> Vec<Record> {
        Self::read_at(&endpoints().kafka_bootstrap_servers, topic, at_least).await
    }

    /// The same, at another broker.
    pub async fn read_at(bootstrap_servers: &str, topic: &str, at_least: usize) -> Vec<Record> {
        let reader = Reader::open(bootstrap_servers, topic);
        let mut records = Vec::new();
        let what = format!("{at_least} messages in {topic}");
        wait_for(&what, TIMEOUT, async || {
            reader.drain(&mut records);
            (records.len() >= at_least && reader.is_at_end(&records)).then_some(())
        })
        .await;
        records
    }
}

struct Reader {
    consumer: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
}

impl Reader {
    fn open(bootstrap_servers: &str, topic: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("group.id", "testkit")
            .set("enable.auto.commit", "false")
            .create()
            .expect("this configuration is valid");
        let metadata = consumer
            .fetch_metadata(Some(topic), METADATA_TIMEOUT)
            .unwrap_or_else(|error| panic!("the broker does not describe topic {topic}: {error}"));
        let partitions: Vec<i32> =
            metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
        let mut assignment = TopicPartitionList::new();
        for partition in &partitions {
            assignment
                .add_partition_offset(topic, *partition, Offset::Beginning)
                .expect("the beginning is a valid offset");
        }
        consumer.assign(&assignment).expect("a fresh consumer takes any assignment");
        Self { consumer, topic: topic.to_owned(), partitions }
    }

    /// Takes what has been fetched so far; errors of the transport are the client's to repair.
    fn drain(&self, records: &mut Vec<Record>) {
        while let Some(message) = self.consumer.poll(Duration::from_millis(1)) {
            if let Ok(message) = message {
                records.push(record(&message));
            }
        }
    }

    fn is_at_end(&self, records: &[Record]) -> bool {
        self.partitions.iter().all(|partition| {
            let (first, end) = self
                .consumer
                .fetch_watermarks(&self.topic, *partition, METADATA_TIMEOUT)
                .unwrap_or_else(|error| panic!("the broker does not say where {} ends: {error}", self.topic));
            let read = records
                .iter()
                .filter(|record| record.partition == *partition)
                .map(|record| record.offset + 1);
            read.max().unwrap_or(first) >= end
        })
    }
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text),
        payload: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(text).unwrap_or_default()))
            .collect(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
