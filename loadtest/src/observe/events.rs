//! The events of a run, read from their topic.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use ::events::{
    Decoder, Envelope, Event, Registry,
    orders::{OrderConfirmed, OrderPlaced, OrderRejected},
};
use anyhow::Context as _;
use rdkafka::message::{Message as _, OwnedMessage};
use tls::Trust;
use uuid::Uuid;

use crate::{
    kafka::{Start, TopicReader, header},
    reconcile::{EventType, Events, SeenEvent},
    target,
};

/// How long one read waits for a message.
const READ_WAIT: Duration = Duration::from_secs(1);

/// The events of one customer from the start of a run.
pub(super) struct RunEvents {
    reader: TopicReader,
    decoder: Decoder,
    customer: String,
    found: Events,
    /// The hash of the payload of each event.
    contents: BTreeMap<Uuid, u64>,
    n_read: usize,
    /// Orders whose final event was not read yet.
    unfinished: BTreeSet<Uuid>,
}

impl RunEvents {
    /// Starts at the present end of the topic.
    pub(super) async fn start(events: &target::Events, customer: &str) -> anyhow::Result<Self> {
        let config =
            ::events::Config { schema_registry_url: events.registry_url.parse().context("registry_url")? };
        Ok(Self {
            reader: TopicReader::open(&events.bootstrap_servers, &events.topic, Start::End).await?,
            decoder: Decoder::new(Registry::new(&config, &Trust::none())),
            customer: customer.to_owned(),
            found: Events::new(),
            contents: BTreeMap::new(),
            n_read: 0,
            unfinished: BTreeSet::new(),
        })
    }

    /// Returns every event of the customer. Waits for the final event of each of `orders`, at most `settling` without a new message.
    pub(super) async fn read(
        mut self,
        orders: &BTreeSet<Uuid>,
        settling: Duration,
    ) -> anyhow::Result<Events> {
        self.unfinished.clone_from(orders);
        let mut progress_at = Instant::now();
        while !self.unfinished.is_empty() && progress_at.elapsed() < settling {
            if self.read_one(orders).await? {
                progress_at = Instant::now();
            }
        }
        // Read to the end, because an event after the last expected one would be a fault.
        let end = self.reader.offsets().await?;
        let deadline = Instant::now() + settling;
        while !self.reader.has_read(&end) && Instant::now() < deadline {
            self.read_one(orders).await?;
        }
        Ok(self.found)
    }

    /// Reads one message; reports whether one arrived. Another producer may write what is no event of an order; such a message is skipped.
    async fn read_one(&mut self, orders: &BTreeSet<Uuid>) -> anyhow::Result<bool> {
        let Some(message) = self.reader.next(READ_WAIT).await? else { return Ok(false) };
        match self.record(&message).await {
            Err(error) if names_one_of(&message, orders) => {
                Err(error.context("an event of the topic cannot be read"))
            }
            _ => Ok(true),
        }
    }

    /// Decodes a message with the schema of the registry; ignores event types that this version does not know.
    async fn record(&mut self, message: &OwnedMessage) -> anyhow::Result<()> {
        let envelope = Envelope::from_headers(|name| header(message, name))?;
        let payload = message.payload().unwrap_or_default();
        let is = |event_type: &::events::EventType| envelope.event_type == event_type.name;
        let (event_type, data) = if is(OrderPlaced::event_type()) {
            let event: OrderPlaced = self.decoder.decode(payload).await?;
            (EventType::Placed, event.order)
        } else if is(OrderConfirmed::event_type()) {
            let event: OrderConfirmed = self.decoder.decode(payload).await?;
            (EventType::Confirmed, event.order)
        } else if is(OrderRejected::event_type()) {
            let event: OrderRejected = self.decoder.decode(payload).await?;
            (EventType::Rejected, event.order)
        } else {
            return Ok(());
        };
        if data.customer_email == self.customer {
            self.see(data.order_id, envelope.event_id, event_type, payload);
            if event_type != EventType::Placed {
                self.unfinished.remove(&data.order_id);
            }
        }
        Ok(())
    }

    fn see(&mut self, order: Uuid, event_id: Uuid, event_type: EventType, payload: &[u8]) {
        self.n_read += 1;
        let mut hasher = DefaultHasher::new();
        (order, payload).hash(&mut hasher);
        let contents = hasher.finish();
        let is_changed = *self.contents.entry(event_id).or_insert(contents) != contents;
        match self.found.entry(order).or_default().entry(event_id) {
            Entry::Vacant(new) => {
                new.insert(SeenEvent { is_changed, ..SeenEvent::new(event_type, self.n_read) });
            }
            Entry::Occupied(mut seen) => {
                let seen = seen.get_mut();
                seen.n_seen += 1;
                seen.is_changed |= is_changed || seen.event_type != event_type;
            }
        }
    }
}

/// Whether the key of a message is one of these orders.
fn names_one_of(message: &OwnedMessage, orders: &BTreeSet<Uuid>) -> bool {
    let order = message.key().and_then(|key| Uuid::try_parse_ascii(key).ok());
    order.is_some_and(|order| orders.contains(&order))
}
