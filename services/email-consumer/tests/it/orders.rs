//! Publishes events in the format of orders.

use std::time::Duration;

use chrono::Utc;
use events::{
    Encoder, Envelope, Event, EventType, Propagation, Registry,
    orders::{OrderConfirmed, OrderData, OrderLine, OrderPlaced, OrderRejected, event_types},
    promotions,
};
use rdkafka::{
    ClientConfig,
    message::{self, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::endpoints;
use uuid::Uuid;

/// The data of an order in its events.
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) tracking_url: String,
}

impl Order {
    /// Makes an order of a new customer.
    pub(crate) fn new() -> Self {
        Self::of(&format!("{}@example.com", Uuid::new_v4().simple()))
    }

    pub(crate) fn of(email: &str) -> Self {
        let id = Uuid::now_v7();
        Self {
            id,
            email: email.to_owned(),
            tracking_url: format!("http://orders.example/track/{}", id.simple()),
        }
    }

    pub(crate) fn placed(&self) -> OrderPlaced {
        OrderPlaced { order: self.data(), placed_at: Utc::now() }
    }

    pub(crate) fn data(&self) -> OrderData {
        OrderData {
            order_id: self.id,
            tenant: "acme".to_owned(),
            customer_email: self.email.clone(),
            lines: lines(),
            total_minor: 125_900,
            currency: "EUR".to_owned(),
        }
    }

    pub(crate) fn confirmed(&self) -> OrderConfirmed {
        OrderConfirmed {
            order: self.data(),
            tracking_url: self.tracking_url.clone(),
            confirmed_at: Utc::now(),
        }
    }

    pub(crate) fn rejected(&self, reason: &str) -> OrderRejected {
        OrderRejected {
            order: self.data(),
            reason: reason.to_owned(),
            tracking_url: self.tracking_url.clone(),
            rejected_at: Utc::now(),
        }
    }

    pub(crate) fn message_id(&self, kind: &str) -> String {
        format!("<order-{}-{kind}@muster.test>", self.id)
    }
}

fn lines() -> Vec<OrderLine> {
    let line = |sku: &str, name: &str, quantity, unit_price_minor| OrderLine {
        sku: sku.to_owned(),
        name: name.to_owned(),
        quantity,
        unit_price_minor,
    };
    vec![line("TEA-01", "Darjeeling <First Flush>", 2, 1_250), line("POT-07", "Teapot", 1, 123_400)]
}

/// Name and value of a header.
type Header<'a> = (&'a str, String);

/// Writes events to one topic.
pub(crate) struct Publisher {
    topic: String,
    types: Vec<&'static EventType>,
    encoder: Encoder,
    producer: FutureProducer,
}

impl Publisher {
    /// Registers the schemas and connects to the broker.
    pub(crate) async fn new(topic: &str, bootstrap_servers: &str) -> Self {
        let publisher = Self::unregistered(topic, bootstrap_servers);
        publisher.register().await;
        publisher
    }

    /// Registers the schemas.
    pub(crate) async fn register(&self) {
        let registry = Registry::new(
            &events::Config { schema_registry_url: endpoints().schema_registry_url.parse().unwrap() },
            &tls::Trust::none(),
        );
        self.encoder.register(&registry, &self.types).await.unwrap();
    }

    /// Connects to the broker.
    pub(crate) fn unregistered(topic: &str, bootstrap_servers: &str) -> Self {
        Self::of_types(event_types().to_vec(), topic, bootstrap_servers)
    }

    /// The same for promotions.
    pub(crate) fn of_promotions(topic: &str, bootstrap_servers: &str) -> Self {
        Self::of_types(promotions::event_types().to_vec(), topic, bootstrap_servers)
    }

    fn of_types(types: Vec<&'static EventType>, topic: &str, bootstrap_servers: &str) -> Self {
        let encoder = Encoder::new(topic);
        let producer = ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create().unwrap();
        Self { topic: topic.to_owned(), types, encoder, producer }
    }

    /// Publishes an event and returns its id.
    pub(crate) async fn publish<E: Event>(&self, order: &Order, event: &E) -> Uuid {
        let envelope = envelope::<E>();
        self.publish_as(order, event, &envelope).await;
        envelope.event_id
    }

    /// Publishes an event with this envelope.
    pub(crate) async fn publish_as<E: Event>(&self, order: &Order, event: &E, envelope: &Envelope) {
        self.send_event(order, event, &envelope.to_headers()).await;
    }

    /// Publishes an event to this partition, independent of its key.
    pub(crate) async fn publish_to<E: Event>(&self, partition: i32, order: &Order, event: &E) {
        self.send_to(partition, order, event, &envelope::<E>().to_headers()).await;
    }

    /// Publishes an event with any headers.
    pub(crate) async fn send_event<E: Event>(&self, order: &Order, event: &E, headers: &[Header<'_>]) {
        self.produce(None, order.id, &self.encoder.encode(event).unwrap(), headers).await;
    }

    /// Publishes an event with any headers to this partition.
    pub(crate) async fn send_to<E: Event>(
        &self,
        partition: i32,
        order: &Order,
        event: &E,
        headers: &[Header<'_>],
    ) {
        self.produce(Some(partition), order.id, &self.encoder.encode(event).unwrap(), headers).await;
    }

    /// The payload of an event.
    pub(crate) fn encode<E: Event>(&self, event: &E) -> Vec<u8> {
        self.encoder.encode(event).unwrap()
    }

    /// Publishes any bytes with any headers, with the key of the order.
    pub(crate) async fn send(&self, order: &Order, payload: &[u8], headers: &[Header<'_>]) {
        self.produce(None, order.id, payload, headers).await;
    }

    /// Publishes a promotion with this envelope.
    pub(crate) async fn promote(&self, event: &promotions::CustomerLapsed, envelope: &Envelope) {
        let payload = self.encoder.encode(event).unwrap();
        self.produce(None, event.customer_id, &payload, &envelope.to_headers()).await;
    }

    async fn produce(&self, partition: Option<i32>, key: Uuid, payload: &[u8], headers: &[Header<'_>]) {
        let key = key.to_string();
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(message::Header { key, value: Some(value.as_str()) })
        });
        let mut record = FutureRecord::to(&self.topic).key(&key).payload(payload).headers(headers);
        record.partition = partition;
        self.producer.send(record, Duration::from_secs(10)).await.unwrap();
    }
}

/// A new envelope.
pub(crate) fn envelope<E: Event>() -> Envelope {
    Envelope {
        event_id: Uuid::now_v7(),
        event_type: E::event_type().name.to_owned(),
        occurred_at: Utc::now(),
        propagation: Propagation::default(),
    }
}
