//! A team registers a schema that consumers cannot read, and produces with it: its events become dead letters, the others are handled,
//! and a release that reads both schemas handles the letters when they are replayed. The story of `docs/schema-evolution.md`.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use apache_avro::{Schema, writer::datum::GenericDatumWriter};
use chrono::Utc;
use consumer::{Consumer, Handler, Message, Outcome, Settings};
use events::{Config, Decoder, Event, EventType, Kafka, Registry, header};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::{Database, Topics, client, endpoints, wait_for};
use tls::Trust;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(90);

/// Declares a version of the event `muster.tests.Paid`, with these fields besides the order.
macro_rules! version {
    ($type:ident { $($field:ident: $of:ty = $schema:literal),+ }) => {
        #[derive(Serialize, Deserialize)]
        struct $type {
            order: String,
            $($field: $of,)+
        }

        impl Event for $type {
            fn event_type() -> &'static EventType {
                static TYPE: LazyLock<EventType> = LazyLock::new(|| {
                    EventType::new(
                        concat!(
                            r#"{"type": "record", "name": "Paid", "namespace": "muster.tests", "fields": ["#,
                            r#"{"name": "order", "type": "string"}"#,
                            $(", {\"name\": \"", stringify!($field), "\", ", $schema, "}",)+
                            "]}"
                        ),
                        "muster.tests.Paid",
                    )
                });
                &TYPE
            }
        }
    };
}

version!(Released { total: i64 = r#""type": "long""# });
version!(Bypass { amount: i64 = r#""type": "long""# });
version!(Repaired {
    total: Option<i64> = r#""type": ["null", "long"], "default": null"#,
    amount: Option<i64> = r#""type": ["null", "long"], "default": null"#
});
version!(Careless { paid_by: String = r#""type": "string""# });

impl From<Released> for (String, i64) {
    fn from(event: Released) -> Self {
        (event.order, event.total)
    }
}

impl From<Repaired> for (String, i64) {
    fn from(event: Repaired) -> Self {
        (event.order, event.total.or(event.amount).unwrap())
    }
}

/// Orders and amounts that consumers have handled.
type Handled = Arc<Mutex<Vec<(String, i64)>>>;

/// A handler of events that are read as `E`.
struct Reader<E> {
    decoder: Decoder,
    handled: Handled,
    read: fn(E) -> (String, i64),
}

impl<E: Event + 'static> Handler for Reader<E> {
    async fn handle(&self, message: &Message) -> Outcome {
        match self.decoder.decode::<E>(&message.payload).await {
            Ok(event) => {
                self.handled.lock().unwrap().push((self.read)(event));
                Outcome::Done
            }
            Err(error) if error.is_transient() => Outcome::Unavailable(error.to_string()),
            Err(error) => Outcome::DeadLetter { code: "unreadable_payload", reason: error.to_string() },
        }
    }
}

/// The topics and the registry of the test.
struct World {
    topics: Topics,
    database: Database,
    registry: Registry,
    handled: Handled,
}

impl World {
    async fn start() -> Self {
        let topics = Topics::create(&[("events", 1), ("letters", 1)]).await;
        let config = Config { schema_registry_url: endpoints().schema_registry_url.parse().unwrap() };
        let registry = Registry::new(&config, &Trust::none());
        let database = Database::create("reader").await;
        Self { topics, database, registry, handled: Handled::default() }
    }

    fn topic(&self) -> &str {
        self.topics.name("events")
    }

    fn subject(&self) -> String {
        Released::event_type().subject(self.topic())
    }

    /// Sends a request to the registry, as a person with curl does.
    async fn ask(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}/{path}", endpoints().schema_registry_url);
        client().request(method, url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Registers a schema without any check; returns its id.
    async fn register_unchecked(&self, schema: &Schema) -> u32 {
        let subject = self.subject();
        let none = json!({ "compatibility": "NONE" });
        self.ask(reqwest::Method::PUT, &format!("config/{subject}"), none).await;
        let body = json!({ "schema": serde_json::to_string(schema).unwrap() });
        let answer = self.ask(reqwest::Method::POST, &format!("subjects/{subject}/versions"), body).await;
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    }

    /// Publishes an event with the schema of this id, as any producer could.
    async fn publish<E: Event>(&self, id: u32, event: &E) {
        let servers = &endpoints().kafka_bootstrap_servers;
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let writer = GenericDatumWriter::builder(&E::event_type().schema).build().unwrap();
        let payload = [&[0][..], &id.to_be_bytes(), &writer.write_ser_to_vec(event).unwrap()].concat();
        let headers = [
            (header::EVENT_ID, Uuid::now_v7().to_string()),
            (header::EVENT_TYPE, E::event_type().name.to_owned()),
            (header::OCCURRED_AT, Utc::now().to_rfc3339()),
        ];
        let headers = headers.into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(&value) })
        });
        let record = FutureRecord::to(self.topic()).key("order").payload(&payload).headers(headers);
        producer.send(record, SOON).await.unwrap();
    }

    /// Runs a release of the consumer, which reads events as `E`, until `done`.
    async fn run_until<E>(&self, done: impl AsyncFnMut() -> Option<()>)
    where
        E: Event + Into<(String, i64)> + 'static,
    {
        let decoder = Decoder::new(self.registry.clone()).of_topic(self.topic());
        decoder.verify(&[E::event_type()]).await.unwrap();
        let settings = Settings {
            topic: self.topic().to_owned(),
            group: self.topic().to_owned(),
            retries: Vec::new(),
            dead_letter_topic: Some(self.topics.name("letters").to_owned()),
            handler_timeout: SOON,
            drain_timeout: Duration::from_secs(5),
            due_after: SOON,
        };
        let handler = Reader::<E> { decoder, handled: Arc::clone(&self.handled), read: Into::into };
        let kafka = Kafka::plaintext(&endpoints().kafka_bootstrap_servers);
        let stop = CancellationToken::new();
        let pool = self.database.pool(&[("consumer", consumer::MIGRATIONS)]).await;
        let consumer = Consumer::new(&kafka, pool, settings, handler).unwrap();
        let running = tokio::spawn(consumer.run(stop.clone()));
        wait_for("the events to be handled", SOON, done).await;
        stop.cancel();
        running.await.unwrap().unwrap();
    }

    fn handled(&self) -> Vec<(String, i64)> {
        self.handled.lock().unwrap().clone()
    }

    /// Reads the dead letters, of which there is at least one.
    async fn dead_letters(&self) -> Vec<testkit::Record> {
        testkit::Kafka::read(self.topics.name("letters"), 1).await
    }

    /// Sends the event of a letter again, as a replay does.
    async fn replay(&self, letter: &testkit::Record) {
        let servers = &endpoints().kafka_bootstrap_servers;
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        let of_event = letter.headers.iter().filter(|(name, _)| !name.starts_with("dead-letter-"));
        let headers = of_event.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let payload = letter.payload.as_deref().unwrap();
        let record = FutureRecord::to(self.topic()).key("order").payload(payload).headers(headers);
        producer.send(record, SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_schema_that_bypassed_the_gate_are_dead_letters_and_are_replayed_after_the_repair() {
    let world = World::start().await;
    let released = serde_json::to_string(&Released::event_type().schema).unwrap();
    let good = world.registry.register(&world.subject(), &released).await.unwrap();
    let bypass = serde_json::to_string(&Bypass::event_type().schema).unwrap();
    world.registry.register(&world.subject(), &bypass).await.expect_err("the registry refuses it");
    let bad = world.register_unchecked(&Bypass::event_type().schema).await;
    let again = world.registry.register(&world.subject(), &released).await;
    assert_eq!(again.unwrap(), good, "a producer with the released schema starts beside the bad version");

    world.publish(bad, &Bypass { order: "bypass".to_owned(), amount: 7 }).await;
    world.publish(good, &Released { order: "good".to_owned(), total: 5 }).await;
    let good = ("good".to_owned(), 5);
    world.run_until::<Released>(async || (world.handled() == [good.clone()]).then_some(())).await;
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].headers["dead-letter-reason"], "the payload cannot be read as muster.tests.Paid");

    // A consumer that reads neither the bypass nor its own past does not start.
    let careless = serde_json::to_string(&Careless::event_type().schema).unwrap();
    let refused = world.registry.verify(&world.subject(), &careless).await.unwrap_err();
    assert!(refused.to_string().contains(&world.subject()), "{refused}");

    world.replay(&letters[0]).await;
    let both = [good, ("bypass".to_owned(), 7)];
    world.run_until::<Repaired>(async || (world.handled() == both).then_some(())).await;
    assert_eq!(world.dead_letters().await.len(), 1, "the repaired consumer gives up nothing");
}
