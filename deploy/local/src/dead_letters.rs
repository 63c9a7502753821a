//! What consumers gave up on: looked at, replayed or discarded by a person.
//!
//! A letter that is replayed goes unchanged, without the headers that made it a letter and with a count of its replays, to the topic it came from; consumers
//! recognise an event that they have handled by its id. Only when the broker has all of them are the letters deleted, so that
//! a replay that is cut off can be repeated. Payloads hold personal data and are not shown.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, OwnedHeaders, OwnedMessage};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

/// How long the broker may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long reading all letters may take.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// More letters than that are no case for a person with a terminal.
const LIMIT: i64 = 10_000;

/// What begins the names of the headers that a letter has and its event had not.
const PREFIX: &str = "dead-letter-";

/// The header that counts how often an event was replayed (`events::header::REPLAYS`).
const REPLAYS: &str = "replays";

/// One letter; its `Display` is what may be shown of it.
pub(crate) struct Letter(OwnedMessage);

/// A dead-letter topic of one cluster.
pub(crate) struct DeadLetters {
    servers: String,
    topic: String,
}

impl DeadLetters {
    pub(crate) fn new(servers: String, topic: String) -> Self {
        Self { servers, topic }
    }

    /// Reads every letter there is now.
    pub(crate) async fn read(&self) -> anyhow::Result<Vec<Letter>> {
        let (config, topic) = (self.config(), self.topic.clone());
        // librdkafka's consumer blocks its thread.
        tokio::task::spawn_blocking(move || read(config, &topic)).await.context("reading panicked")?
    }

    /// Sends the letters where they came from, in order, and then deletes them.
    pub(crate) async fn replay(&self, letters: &[Letter]) -> anyhow::Result<()> {
        let producer: FutureProducer = self
            .config()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .create()
            .context("producer")?;
        for letter in letters {
            let topic =
                letter.header("topic").with_context(|| format!("{letter}: it says not from where"))?;
            let headers = letter.original_headers();
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).headers(headers);
            record.key = letter.0.key();
            record.payload = letter.0.payload();
            let sent = producer.send(record, TIMEOUT).await;
            sent.map_err(|(error, _)| error).with_context(|| format!("{letter}: {topic} did not take it"))?;
        }
        self.delete(letters).await
    }

    /// Deletes the letters, and with them whatever is older in their partitions.
    pub(crate) async fn delete(&self, letters: &[Letter]) -> anyhow::Result<()> {
        let mut ends = TopicPartitionList::new();
        for Letter(message) in letters {
            let end = Offset::Offset(message.offset() + 1);
            match ends.find_partition(&self.topic, message.partition()) {
                Some(mut known) => known.set_offset(end),
                None => ends.add_partition_offset(&self.topic, message.partition(), end),
            }
            .context("an offset of the broker's own")?;
        }
        let admin: AdminClient<DefaultClientContext> = self.config().create().context("admin client")?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let deleted = admin.delete_records(&ends, &options).await.context("the letters are not deleted")?;
        for partition in deleted.elements() {
            partition.error().context("a partition's letters are not deleted")?;
        }
        Ok(())
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).set("message.max.bytes", "2000000");
        config
    }
}

fn read(mut config: ClientConfig, topic: &str) -> anyhow::Result<Vec<Letter>> {
    let consumer: BaseConsumer =
        config.set("group.id", "muster").set("enable.auto.commit", "false").create().context("consumer")?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("the broker does not answer")?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let mut assignment = TopicPartitionList::new();
    let mut expected = 0;
    for partition in partitions {
        let (low, high) =
            consumer.fetch_watermarks(topic, partition.id(), TIMEOUT).context("the topic's offsets")?;
        if high > low {
            expected += high - low;
            assignment.add_partition_offset(topic, partition.id(), Offset::Offset(low)).context("offset")?;
        }
    }
    ensure!(expected <= LIMIT, "{expected} letters are more than {LIMIT}: find out what is wrong first");
    consumer.assign(&assignment).context("assignment")?;
    let end = Instant::now() + READ_TIMEOUT;
    let mut letters = Vec::new();
    while i64::try_from(letters.len()).unwrap_or(i64::MAX) < expected {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => letters.push(Letter(message.context("a letter cannot be read")?.detach())),
            None if Instant::now() > end => bail!("only {} of {expected} letters came", letters.len()),
            None => {}
        }
    }
    Ok(letters)
}

impl Letter {
    /// A header that made it a letter.
    fn header(&self, name: &str) -> Option<&str> {
        self.text(&format!("{PREFIX}{name}"))
    }

    fn text(&self, name: &str) -> Option<&str> {
        let header = self.0.headers()?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    }

    fn original_headers(&self) -> OwnedHeaders {
        let headers = self.0.headers().into_iter().flat_map(|headers| headers.iter());
        let original = headers
            .filter(|header| !header.key.starts_with(PREFIX) && header.key != REPLAYS)
            .fold(OwnedHeaders::new(), |headers, header| {
                headers.insert(Header { key: header.key, value: header.value })
            });
        // A consumer that has given an event up takes this for a reason to try again.
        let replays =
            self.text(REPLAYS).and_then(|count| count.parse().ok()).unwrap_or(0_u32).saturating_add(1);
        original.insert(Header { key: REPLAYS, value: Some(&replays.to_string()) })
    }
}

impl std::fmt::Display for Letter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |value: Option<&str>| value.unwrap_or("-").to_owned();
        write!(
            formatter,
            "{}/{}  {}  {}  event {} {}  from {}/{}/{}  attempts {}",
            self.0.partition(),
            self.0.offset(),
            of(self.header("at")),
            of(self.header("reason")),
            of(self.text("event-type")),
            of(self.text("event-id")),
            of(self.header("topic")),
            of(self.header("partition")),
            of(self.header("offset")),
            of(self.header("attempts")),
        )
    }
}
