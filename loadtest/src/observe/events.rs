//! The events of a run, read from the topic as it is, without a consumer group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ::events::orders::{OrderConfirmed, OrderPlaced, OrderRejected};
use ::events::{Decoder, Envelope, Event, Registry};
use anyhow::{Context, anyhow};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tls::Trust;
use tokio::time::timeout;
use uuid::Uuid;

use crate::reconcile::{EventType, Events};
use crate::target;

/// How long the broker may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The end of the topic, partition by partition, at the time of its making; what comes after it belongs to the run.
pub struct TopicPosition {
    events: target::Events,
    customer: String,
    ends: BTreeMap<i32, i64>,
}

impl TopicPosition {
    /// Notes where the topic ends now. `customer` is the address that tells the run's events from others'.
    pub async fn now(events: &target::Events, customer: &str) -> anyhow::Result<Self> {
        let (events, customer) = (events.clone(), customer.to_owned());
        let asked = events.clone();
        let ends = tokio::task::spawn_blocking(move || ends(&asked)).await.context("asking the broker")??;
        Ok(Self { events, customer, ends })
    }

    /// Every event of the run's customer. Waits until each of `orders` has its last one, but no longer than `settling` without
    /// anything new.
    pub async fn read(&self, orders: &BTreeSet<Uuid>, settling: Duration) -> anyhow::Result<Events> {
        let consumer = self.consumer()?;
        let config = ::events::Config {
            schema_registry_url: self.events.registry_url.parse().context("registry_url")?,
        };
        let decoder = Decoder::new(Registry::new(&config, &Trust::nobody()));
        let mut positions = self.ends.clone();
        let mut found = Events::new();
        let mut unfinished = orders.clone();
        let mut progress_at = Instant::now();
        while !unfinished.is_empty() && progress_at.elapsed() < settling {
            if self.take(&consumer, &decoder, &mut positions, &mut found, &mut unfinished).await? {
                progress_at = Instant::now();
            }
        }
        // What is behind the last one expected counts too.
        let asked = self.events.clone();
        let ends = tokio::task::spawn_blocking(move || ends(&asked)).await.context("asking the broker")??;
        let end = Instant::now() + settling;
        while positions.iter().any(|(partition, next)| ends.get(partition) > Some(next))
            && Instant::now() < end
        {
            self.take(&consumer, &decoder, &mut positions, &mut found, &mut unfinished).await?;
        }
        Ok(found)
    }

    /// Takes one message, if one comes soon.
    async fn take(
        &self,
        consumer: &StreamConsumer,
        decoder: &Decoder,
        positions: &mut BTreeMap<i32, i64>,
        found: &mut Events,
        unfinished: &mut BTreeSet<Uuid>,
    ) -> anyhow::Result<bool> {
        // Errors of the transport are the client's to repair.
        let Ok(Ok(message)) = timeout(Duration::from_secs(1), consumer.recv()).await else {
            return Ok(false);
        };
        positions.insert(message.partition(), message.offset() + 1);
        let Some(event) = read(&message, decoder).await.context("an event of the topic cannot be read")?
        else {
            return Ok(true);
        };
        if event.customer == self.customer {
            let of_order = found.entry(event.order).or_default();
            of_order.entry(event.id).or_insert((event.event_type, 0)).1 += 1;
            if event.event_type != EventType::Placed {
                unfinished.remove(&event.order);
            }
        }
        Ok(true)
    }

    fn consumer(&self) -> anyhow::Result<StreamConsumer> {
        let consumer: StreamConsumer = config(&self.events).create().context("the Kafka client")?;
        let mut assignment = TopicPartitionList::new();
        for (partition, end) in &self.ends {
            assignment.add_partition_offset(&self.events.topic, *partition, Offset::Offset(*end))?;
        }
        consumer.assign(&assignment).context("the topic cannot be read")?;
        Ok(consumer)
    }
}

fn config(events: &target::Events) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &events.bootstrap_servers)
        .set("group.id", "loadtest")
        .set("enable.auto.commit", "false");
    config
}

fn ends(events: &target::Events) -> anyhow::Result<BTreeMap<i32, i64>> {
    let consumer: StreamConsumer = config(events).create().context("the Kafka client")?;
    let metadata =
        consumer.fetch_metadata(Some(&events.topic), PATIENCE).context("the broker does not answer")?;
    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
    let ends = partitions.map(|partition| {
        let (_, end) = consumer.fetch_watermarks(&events.topic, partition.id(), PATIENCE)?;
        anyhow::Ok((partition.id(), end))
    });
    let ends: BTreeMap<i32, i64> = ends.collect::<Result<_, _>>().context("the end of the topic")?;
    if ends.is_empty() {
        return Err(anyhow!("there is no topic {}", events.topic));
    }
    Ok(ends)
}

/// What the comparison needs of an event.
struct Read {
    order: Uuid,
    id: Uuid,
    event_type: EventType,
    customer: String,
}

/// Reads a message with the schema that the registry has for it; nothing of types that came later.
async fn read(message: &BorrowedMessage<'_>, decoder: &Decoder) -> anyhow::Result<Option<Read>> {
    let header = |name: &str| {
        let mut headers = message.headers()?.iter().filter(|header| header.key == name);
        std::str::from_utf8(headers.next()?.value?).ok()
    };
    let envelope = Envelope::from_headers(header)?;
    let payload = message.payload().unwrap_or_default();
    let is = |name: &str| envelope.event_type == name;
    let (event_type, order, customer) = if is(OrderPlaced::event_type().name) {
        let event: OrderPlaced = decoder.decode(payload).await?;
        (EventType::Placed, event.order_id, event.customer_email)
    } else if is(OrderConfirmed::event_type().name) {
        let event: OrderConfirmed = decoder.decode(payload).await?;
        (EventType::Confirmed, event.order_id, event.customer_email)
    } else if is(OrderRejected::event_type().name) {
        let event: OrderRejected = decoder.decode(payload).await?;
        (EventType::Rejected, event.order_id, event.customer_email)
    } else {
        return Ok(None);
    };
    Ok(Some(Read { order, id: envelope.event_id, event_type, customer }))
}

impl std::fmt::Debug for TopicPosition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TopicPosition").field("ends", &self.ends).finish_non_exhaustive()
    }
}
