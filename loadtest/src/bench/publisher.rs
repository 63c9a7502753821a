//! Publishes events in the format of the order service.

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use events::{
    Encoder, Envelope, Event, EventType, Propagation, Registry,
    orders::{OrderConfirmed, OrderData, OrderLine},
};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tls::Trust;
use uuid::Uuid;

use crate::target;

/// Publishes events to one topic.
pub(super) struct Publisher {
    producer: FutureProducer,
    encoder: Encoder,
}

impl Publisher {
    /// Makes a publisher to this topic, and registers the schemas of its events.
    pub(super) async fn new(
        events: &target::Events,
        topic: &'static str,
        types: &[&'static EventType],
    ) -> anyhow::Result<Self> {
        let target::Events { bootstrap_servers, registry_url, .. } = events;
        let encoder = Encoder::new(topic);
        let config = events::Config { schema_registry_url: registry_url.parse().context("registry_url")? };
        encoder.register(&Registry::new(&config, &Trust::none()), types).await?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
            .set("linger.ms", "5")
            .create()
            .context("the Kafka client")?;
        Ok(Self { producer, encoder })
    }

    /// Publishes the confirmation of an order of this customer.
    pub(super) async fn confirm(&self, recipient: &str) -> anyhow::Result<()> {
        let event = confirmed(recipient);
        self.publish(event.order.order_id, &event).await
    }

    /// Publishes an event.
    pub(super) async fn publish<E: Event>(&self, key: Uuid, event: &E) -> anyhow::Result<()> {
        let envelope = Envelope {
            event_id: Uuid::now_v7(),
            event_type: E::event_type().name.to_owned(),
            occurred_at: Utc::now(),
            propagation: Propagation::default(),
        };
        let headers = envelope
            .to_headers()
            .into_iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(&value) }));
        let (key, payload) = (key.to_string(), self.encoder.encode(event)?);
        let record = FutureRecord::to(self.encoder.topic()).key(&key).payload(&payload).headers(headers);
        self.producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
        Ok(())
    }
}

/// A confirmed order of two lines.
fn confirmed(recipient: &str) -> OrderConfirmed {
    let order_id = Uuid::now_v7();
    let line = |sku: &str, name: &str, quantity, unit_price_minor| OrderLine {
        sku: sku.to_owned(),
        name: name.to_owned(),
        quantity,
        unit_price_minor,
    };
    let order = OrderData {
        order_id,
        tenant: "acme".to_owned(),
        customer_email: recipient.to_owned(),
        lines: vec![line("TEA-SENCHA", "Sencha", 2, 890), line("TEA-EARL-GREY", "Earl Grey", 1, 690)],
        total_minor: 2 * 890 + 690,
        currency: "EUR".to_owned(),
    };
    OrderConfirmed {
        order,
        tracking_url: format!(
            "http://127.0.0.1/track/{}?code=0123456789abcdef0123456789abcdef",
            order_id.simple()
        ),
        confirmed_at: Utc::now(),
    }
}
