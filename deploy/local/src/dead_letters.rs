//! Dead letters: events that a consumer could not handle; a person reads, replays or discards them.
//!
//! A replay sends each event unchanged to the topic that it came from, without the headers of the dead letter and with a count of its
//! replays; consumers recognise an event that they have handled by its id. The letters are deleted after the broker has accepted all
//! events, so an interrupted replay can be repeated. Payloads contain personal data and are not shown.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use events::header::REPLAYS;
use loadtest::kafka::{Start, TopicReader, header};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
};
use uuid::Uuid;

use crate::console::print;

/// Limit for one answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for reading all letters.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum number of letters for this command.
const LIMIT: i64 = 10_000;

/// The prefix of the headers that consumers add to a dead letter.
const PREFIX: &str = "dead-letter-";

/// Arguments of `muster dead-letters`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Send every event to the topic that it came from, and delete the letters.
    #[arg(long, conflicts_with = "discard")]
    replay: bool,
    /// Delete all letters.
    #[arg(long)]
    discard: bool,
    /// The dead-letter topic.
    #[arg(long, default_value = "orders.events.email-consumer.dlq")]
    topic: String,
    /// The Kafka cluster; default: that of the local stack.
    #[arg(long)]
    pub(crate) bootstrap_servers: Option<String>,
}

/// Shows the letters, and replays or discards them.
pub(crate) async fn run(args: Args, servers: String) -> anyhow::Result<()> {
    let topic = DeadLetters { servers, topic: args.topic };
    let letters = topic.read().await?;
    for letter in &letters {
        print(letter);
    }
    let n_letters = letters.len();
    if letters.is_empty() {
        print("There are no dead letters.");
    } else if args.replay {
        topic.replay(&letters).await?;
        print(format_args!("{n_letters} replayed"));
    } else if args.discard {
        topic.delete(&letters).await?;
        print(format_args!("{n_letters} discarded"));
    } else {
        print(format_args!("{n_letters} dead letters; use --replay or --discard"));
    }
    Ok(())
}

/// One letter. Its `Display` shows no payload.
struct Letter(OwnedMessage);

/// A dead-letter topic of one Kafka cluster.
struct DeadLetters {
    servers: String,
    topic: String,
}

impl DeadLetters {
    async fn read(&self) -> anyhow::Result<Vec<Letter>> {
        let mut reader = TopicReader::open(&self.servers, &self.topic, Start::Beginning).await?;
        let offsets = reader.offsets().await?;
        let expected: i64 = offsets.values().map(|(first, end)| end - first).sum();
        ensure!(expected <= LIMIT, "{expected} letters are more than {LIMIT}: find the cause first");
        let end = Instant::now() + READ_TIMEOUT;
        let mut letters = Vec::new();
        while !reader.has_read(&offsets) {
            ensure!(Instant::now() < end, "only {} of {expected} letters arrived", letters.len());
            letters.extend(reader.next(Duration::from_millis(100)).await?.map(Letter));
        }
        Ok(letters)
    }

    /// Sends the events of the letters to their topics, in order, and then deletes the letters.
    async fn replay(&self, letters: &[Letter]) -> anyhow::Result<()> {
        let producer: FutureProducer = self
            .config()
            .set("message.max.bytes", "2000000")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .create()
            .context("producer")?;
        for letter in letters {
            let topic = letter.header("topic").with_context(|| format!("{letter}: it names no topic"))?;
            let headers = letter.original_headers();
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).headers(headers);
            record.key = letter.0.key();
            record.payload = letter.0.payload();
            let sent = producer.send(record, TIMEOUT).await;
            sent.map_err(|(error, _)| error)
                .with_context(|| format!("{letter}: {topic} did not accept it"))?;
        }
        self.delete(letters).await
    }

    /// Deletes the letters, and everything older in their partitions.
    async fn delete(&self, letters: &[Letter]) -> anyhow::Result<()> {
        let mut ends = TopicPartitionList::new();
        for Letter(message) in letters {
            let end = Offset::Offset(message.offset() + 1);
            match ends.find_partition(&self.topic, message.partition()) {
                Some(mut known) => known.set_offset(end),
                None => ends.add_partition_offset(&self.topic, message.partition(), end),
            }
            .context("an offset from the broker")?;
        }
        let admin: AdminClient<DefaultClientContext> = self.config().create().context("admin client")?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let deleted = admin.delete_records(&ends, &options).await.context("the letters were not deleted")?;
        for partition in deleted.elements() {
            partition.error().context("the letters of a partition were not deleted")?;
        }
        Ok(())
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }
}

impl Letter {
    /// A header that the consumer added.
    fn header(&self, name: &str) -> Option<&str> {
        header(&self.0, &format!("{PREFIX}{name}"))
    }

    /// The key of the event: the id of its order.
    fn order(&self) -> String {
        let id = self.0.key().and_then(|key| Uuid::try_parse_ascii(key).ok());
        id.map_or_else(|| "no order".to_owned(), |id| format!("order {id}"))
    }

    /// The headers of the event, with one more replay. A consumer that has given the event up handles it again because of the count.
    fn original_headers(&self) -> OwnedHeaders {
        let headers = self.0.headers().into_iter().flat_map(|headers| headers.iter());
        let original = headers.filter(|header| !header.key.starts_with(PREFIX) && header.key != REPLAYS);
        let original = original.fold(OwnedHeaders::new(), |headers, header| {
            headers.insert(Header { key: header.key, value: header.value })
        });
        let replays: u32 = header(&self.0, REPLAYS).and_then(|count| count.parse().ok()).unwrap_or(0);
        original.insert(Header { key: REPLAYS, value: Some(&replays.saturating_add(1).to_string()) })
    }
}

impl std::fmt::Display for Letter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let added = |name| self.header(name).unwrap_or("-");
        let event = |name| header(&self.0, name).unwrap_or("-");
        write!(
            formatter,
            "{}/{}  {}  {}  event {} {}  of {}  from {}/{}/{}  attempts {}",
            self.0.partition(),
            self.0.offset(),
            added("at"),
            added("reason"),
            event("event-type"),
            event("event-id"),
            self.order(),
            added("topic"),
            added("partition"),
            added("offset"),
            added("attempts"),
        )
    }
}
