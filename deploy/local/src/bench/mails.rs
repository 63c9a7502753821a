//! Mails per second: email-consumer drains a topic that was filled before, beside a bare SMTP client with the same mails and the
//! same mail server, and beside the email-consumer of an earlier commit.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::Utc;
use events::orders::{OrderConfirmed, OrderLine, event_types};
use events::{Encoder, Envelope, Event, Registry};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use loadtest::observe::{Standing, purge, standing};
use loadtest::recording::{histogram, micros};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Deserialize;
use tls::Trust;
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::database::BenchDatabase;
use super::pgbench::figures;
use super::table::{Ratio, Row};
use super::{DIGITS, Figures};
use crate::console::print;
use crate::parts::kafka::{Topic, create_topics};
use crate::parts::services;
use crate::ports::{authority, url};
use crate::readiness::http_client;
use crate::smtp::Smtp;
use crate::stack::StackConfig;

/// Events that wait when a consumer starts, each of which becomes a mail.
pub(super) const MAILS: u32 = 10_000;

/// Connections of the bare client.
const CONNECTIONS: u32 = 6;

/// As many partitions as the product's topic has.
const TOPICS: &[Topic] = &[
    Topic { name: EVENTS, partitions: 6, retention_ms: "604800000" },
    Topic { name: DEAD_LETTERS, partitions: 1, retention_ms: "604800000" },
];
const EVENTS: &str = "bench.mails";
const DEAD_LETTERS: &str = "bench.mails.dlq";

/// Whom the mails are for, and who gets the one mail that the bare client repeats.
const CUSTOMER: &str = "bench@example.com";
const SAMPLE: &str = "sample@example.com";

/// How often to count mails. Each time costs the mail server as much as some mails.
const POLL: Duration = Duration::from_millis(100);

/// How long a drain may take, start included.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(5);

/// Events sent to the broker at once.
const IN_FLIGHT: usize = 1_000;

/// Everything that is the same for all who are measured.
struct Bench<'a> {
    config: &'a Arc<StackConfig>,
    database: &'a BenchDatabase,
    imap: String,
    mailbox_api: String,
}

pub(super) async fn measure(
    config: &Arc<StackConfig>,
    database: &BenchDatabase,
    earlier: Option<&Path>,
) -> anyhow::Result<Vec<Row>> {
    let bench = Bench {
        config,
        database,
        imap: authority(config.ports.imap()),
        mailbox_api: url(config.ports.mailbox_api()),
    };
    print(format_args!("Publishing {MAILS} events"));
    bench.publish().await.context("the events")?;
    let ours = bench.drain("ours", None).await.context("email-consumer")?;
    let sample = bench.sample().await.context("the mail that the bare client repeats")?;
    let earlier = match earlier {
        Some(program) => {
            Some(bench.drain("earlier", Some(program)).await.context("the earlier email-consumer")?)
        }
        None => None,
    };
    let bare = bench.send_bare(&sample).await.context("the bare SMTP client")?;
    let row = |baseline_of, baseline, at_least| Row {
        what: "mails, email-consumer, events waiting".to_owned(),
        ours,
        baseline_of,
        baseline,
        ratio: Ratio::Rate { at_least },
    };
    let mut rows = vec![row("bare SMTP client, 6 connections", bare, 0.5)];
    rows.extend(earlier.map(|earlier| row("the earlier email-consumer", earlier, 5.0)));
    Ok(rows)
}

impl Bench<'_> {
    /// Fills the topic: one event for the sample, then those that are measured.
    async fn publish(&self) -> anyhow::Result<()> {
        let servers = authority(self.config.ports.kafka());
        create_topics(&servers, TOPICS).await?;
        let encoder = Encoder::new(EVENTS);
        let config = events::Config {
            schema_registry_url: self.config.ports.registry_url().parse().context("the registry")?,
        };
        encoder.register(&Registry::new(&config, &Trust::nobody()), &event_types()).await?;
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .set("linger.ms", "5")
            .create()
            .context("the Kafka client")?;
        let recipients = std::iter::once(SAMPLE).chain((0..MAILS).map(|_| CUSTOMER));
        stream::iter(recipients)
            .map(|recipient| publish_one(&producer, &encoder, recipient))
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    /// Starts an email-consumer with a database and a group of its own, and measures from the first mail to the last. `name`
    /// tells it from the other one; `program` is another one than ours.
    async fn drain(&self, name: &str, program: Option<&Path>) -> anyhow::Result<Figures> {
        print(format_args!("email-consumer, {name}"));
        purge(&self.mailbox_api).await?;
        let before = self.came().await?;
        let mut consumer = self.start(name, program).await?;
        let drained = timeout(DRAIN_TIMEOUT, self.time_mails(before, &mut consumer)).await;
        consumer.kill().await.context("ending email-consumer")?;
        let (n_mails, took) = drained.with_context(|| format!("not done after {DRAIN_TIMEOUT:?}"))??;
        // A copy would make it look faster.
        let came = self.came().await? - before;
        ensure!(came == MAILS, "{came} mails came of {MAILS} events");
        Ok(Figures {
            per_second: f64::from(n_mails) / took.as_secs_f64(),
            p50_ms: f64::NAN,
            p99_ms: f64::NAN,
        })
    }

    async fn start(&self, name: &str, program: Option<&Path>) -> anyhow::Result<Child> {
        let database = format!("mails_{name}");
        let client = self.database.connect("postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE {database}")).await.context("its database")?;
        let launch = (services::EMAIL_CONSUMER.launch)(self.config)?
            .env("DATABASE_URL", self.database.url(&database))
            .env("ORDERS_EVENTS_TOPIC", EVENTS)
            .env("EMAIL_DEAD_LETTER_TOPIC", DEAD_LETTERS)
            .env("EMAIL_GROUP_ID", format!("bench-{name}"))
            // Other codes, so that each has its links to make.
            .env("EMAIL_LINK_CODE_KEY", hex::encode(rand::random::<[u8; 32]>()));
        let launch = match program {
            Some(program) => launch.program(program),
            None => launch,
        };
        launch.start_child(&self.config.log(&format!("email-consumer-{name}")))
    }

    /// The mails after the first that was seen, and how long they took.
    async fn time_mails(&self, before: u32, consumer: &mut Child) -> anyhow::Result<(u32, Duration)> {
        let mut first: Option<(u32, Instant)> = None;
        loop {
            if let Some(status) = consumer.try_wait().context("email-consumer")? {
                anyhow::bail!(
                    "email-consumer has ended ({status}); its log is in {}",
                    self.config.state_dir.display()
                );
            }
            let came = self.came().await? - before;
            let now = Instant::now();
            let (already, since) = match first {
                Some(first) => first,
                None if came == 0 => {
                    sleep(POLL).await;
                    continue;
                }
                None => *first.insert((came, now)),
            };
            if came >= MAILS {
                return Ok((came - already, now - since));
            }
            sleep(POLL).await;
        }
    }

    /// Mails that ever came for the customer.
    async fn came(&self) -> anyhow::Result<u32> {
        let Standing { next_uid, .. } = standing(CUSTOMER, &self.imap).await?;
        Ok(next_uid - 1)
    }

    /// One of our mails, as it is on the way.
    async fn sample(&self) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Stored {
            #[serde(rename = "mimeMessage")]
            source: String,
        }
        let url = format!("{}/api/user/{SAMPLE}/messages", self.mailbox_api);
        let stored: Vec<Stored> = http_client().get(url).send().await?.error_for_status()?.json().await?;
        Ok(stored.into_iter().next().context("it did not come")?.source)
    }

    async fn send_bare(&self, mail: &str) -> anyhow::Result<Figures> {
        print(format_args!("A bare SMTP client with {CONNECTIONS} connections"));
        purge(&self.mailbox_api).await?;
        let begun = Instant::now();
        let senders = (0..CONNECTIONS).map(|sender| {
            let (mail, port) = (mail.trim_end().to_owned(), self.config.ports.smtp());
            let n_mails = MAILS / CONNECTIONS + u32::from(sender < MAILS % CONNECTIONS);
            async move { tokio::spawn(send(port, mail, n_mails)).await.context("a sender panicked")? }
        });
        let mut all = histogram(DIGITS);
        for of_sender in try_join_all(senders).await? {
            for latency in of_sender {
                all.saturating_record(micros(latency));
            }
        }
        figures(&all, begun.elapsed())
    }
}

async fn publish_one(producer: &FutureProducer, encoder: &Encoder, recipient: &str) -> anyhow::Result<()> {
    let event = confirmed(recipient);
    let envelope = Envelope {
        event_id: Uuid::now_v7(),
        event_type: OrderConfirmed::event_type().name.to_owned(),
        occurred_at: Utc::now(),
        traceparent: None,
    };
    let headers = envelope
        .to_headers()
        .into_iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(&value) }));
    let (key, payload) = (event.order_id.to_string(), encoder.encode(&event)?);
    let record = FutureRecord::to(EVENTS).key(&key).payload(&payload).headers(headers);
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(())
}

/// An order of two lines, as most are in the demonstration.
fn confirmed(recipient: &str) -> OrderConfirmed {
    let order_id = Uuid::now_v7();
    let line = |sku: &str, name: &str, quantity, unit_price_minor| OrderLine {
        sku: sku.to_owned(),
        name: name.to_owned(),
        quantity,
        unit_price_minor,
    };
    OrderConfirmed {
        order_id,
        tenant: "acme".to_owned(),
        customer_email: recipient.to_owned(),
        lines: vec![line("TEA-SENCHA", "Sencha", 2, 890), line("TEA-EARL-GREY", "Earl Grey", 1, 690)],
        total_minor: 2 * 890 + 690,
        currency: "EUR".to_owned(),
        tracking_url: format!(
            "http://127.0.0.1/track/{}?code=0123456789abcdef0123456789abcdef",
            order_id.simple()
        ),
        confirmed_at: Utc::now(),
    }
}

/// Sends mails one after another on one connection; returns what each took.
async fn send(port: u16, mail: String, n_mails: u32) -> anyhow::Result<Vec<Duration>> {
    let mut smtp = Smtp::connect(port).await?;
    let mut took = Vec::new();
    for _ in 0..n_mails {
        let begun = Instant::now();
        smtp.send("orders@muster.local", CUSTOMER, &mail).await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}
