//! Mails per second: email-consumer with events that wait in a topic, beside a bare SMTP client that sends the same mails to the same
//! mail server, and beside the email-consumer of an earlier commit.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::Utc;
use events::{
    Encoder, Envelope, Event, Propagation, Registry,
    orders::{OrderConfirmed, OrderData, OrderLine, event_types},
};
use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{OptionFuture, try_join_all},
    stream,
};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tls::Trust;
use tokio::{
    process::Child,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    CUSTOMER, Figures, Stack,
    table::{Ratio, Row},
};
use crate::{
    imap::mailbox_status,
    mailbox::Mailbox,
    recording::{DIGITS, histogram, micros},
    run::log,
    smtp::Smtp,
    target,
};

/// Number of events, each of which becomes a mail.
pub(super) const MAILS: u32 = 10_000;

/// Connections of the bare client.
const CONNECTIONS: u32 = 6;

/// The topic of the events. The stack must have it, with as many partitions as the product's topic.
pub const EVENTS_TOPIC: &str = "bench.mails";

/// The dead-letter topic.
pub const DEAD_LETTER_TOPIC: &str = "bench.mails.dlq";

/// The recipient of the mail that the bare client repeats.
const SAMPLE: &str = "sample@example.com";

/// Interval between two counts of mails. A count costs the mail server as much as some mails.
const POLL: Duration = Duration::from_millis(100);

/// Time limit for all mails of one email-consumer, with its start.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(5);

/// Concurrent events to the broker.
const IN_FLIGHT: usize = 1_000;

/// The stack, with the parts that this benchmark needs.
struct Bench<'a> {
    stack: &'a Stack<'a>,
    events: &'a target::Events,
    imap: &'a str,
    mailbox: Mailbox,
}

pub(super) async fn measure(stack: &Stack<'_>, earlier: Option<&Path>) -> anyhow::Result<Vec<Row>> {
    let mailbox = stack.target.mailbox.as_ref().context("the target names no mailbox")?;
    let api_url = mailbox.api_url.as_ref().context("the target names no api_url of the mailbox")?;
    let events = stack.target.events.as_ref().context("the target names no events")?;
    let bench = Bench { stack, events, imap: &mailbox.imap, mailbox: Mailbox::new(api_url)? };
    log(format_args!("Publishing {MAILS} events"));
    bench.publish().await.context("the events")?;
    let ours = bench.drain("ours", None).await.context("email-consumer")?;
    let sample =
        bench.mailbox.mails_to(SAMPLE).await?.pop().context("the mail for the bare client is missing")?;
    let earlier = OptionFuture::from(earlier.map(|program| bench.drain("earlier", Some(program))));
    let earlier = earlier.await.transpose().context("the earlier email-consumer")?;
    let bare = bench.send_bare(&sample.mime).await.context("the bare SMTP client")?;
    let row = |baseline_of, baseline, goal| Row {
        what: "mails, email-consumer, events waiting".to_owned(),
        ours,
        baseline_of,
        baseline,
        ratio: Ratio::Rate(Some(goal)),
    };
    let mut rows = vec![row("bare SMTP client, 6 connections", bare, 0.5)];
    rows.extend(earlier.map(|earlier| row("the earlier email-consumer", earlier, 5.0)));
    Ok(rows)
}

impl Bench<'_> {
    /// Publishes one event for the sample, and then those that are measured.
    async fn publish(&self) -> anyhow::Result<()> {
        let target::Events { bootstrap_servers, registry_url, .. } = self.events;
        let encoder = Encoder::new(EVENTS_TOPIC);
        let config = events::Config { schema_registry_url: registry_url.parse().context("registry_url")? };
        encoder.register(&Registry::new(&config, &Trust::none()), &event_types()).await?;
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap_servers)
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

    /// Starts an email-consumer with its own database and consumer group, and measures from the first mail to the last.
    async fn drain(&self, name: &str, program: Option<&Path>) -> anyhow::Result<Figures> {
        log(format_args!("email-consumer, {name}"));
        self.mailbox.purge().await?;
        let before = self.n_arrived().await?;
        let mut consumer = self.start(name, program).await?;
        let drained = timeout(DRAIN_TIMEOUT, self.time_mails(before, &mut consumer)).await;
        consumer.kill().await.context("the end of email-consumer")?;
        let (n_mails, duration) =
            drained.with_context(|| format!("not finished after {DRAIN_TIMEOUT:?}"))??;
        // Copies would increase the rate.
        let n_arrived = self.n_arrived().await? - before;
        ensure!(n_arrived == MAILS, "{n_arrived} mails arrived for {MAILS} events");
        let per_second = f64::from(n_mails) / duration.as_secs_f64();
        Ok(Figures { per_second, p50_ms: f64::NAN, p99_ms: f64::NAN })
    }

    async fn start(&self, name: &str, program: Option<&Path>) -> anyhow::Result<Child> {
        let database = format!("mails_{name}");
        let client = self.stack.postgres.connect("postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE {database}")).await.context("its database")?;
        let env = vec![
            ("DATABASE_URL", self.stack.postgres.url(&database)),
            ("ORDERS_EVENTS_TOPIC", EVENTS_TOPIC.to_owned()),
            ("EMAIL_RETRY_TOPIC", format!("{EVENTS_TOPIC}.retry")),
            ("EMAIL_DEAD_LETTER_TOPIC", DEAD_LETTER_TOPIC.to_owned()),
            ("EMAIL_GROUP_ID", format!("bench-{name}")),
            // Another key gives other codes, so that each email-consumer creates its own links.
            ("EMAIL_LINK_CODE_KEY", format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())),
        ];
        (self.stack.start_email_consumer)(name, program, env)
    }

    /// Returns the number of mails after the first observed ones, and the time that they took.
    async fn time_mails(&self, before: u32, consumer: &mut Child) -> anyhow::Result<(u32, Duration)> {
        let mut first: Option<(u32, Instant)> = None;
        loop {
            if let Some(status) = consumer.try_wait().context("email-consumer")? {
                anyhow::bail!("email-consumer has ended ({status}); its log has the reason");
            }
            let n_arrived = self.n_arrived().await? - before;
            if n_arrived > 0 {
                let (n_first, since) = *first.get_or_insert((n_arrived, Instant::now()));
                if n_arrived >= MAILS {
                    return Ok((n_arrived - n_first, since.elapsed()));
                }
            }
            sleep(POLL).await;
        }
    }

    /// Returns the number of mails that ever arrived for the customer.
    async fn n_arrived(&self) -> anyhow::Result<u32> {
        Ok(mailbox_status(CUSTOMER, self.imap).await?.next_uid - 1)
    }

    async fn send_bare(&self, mail: &str) -> anyhow::Result<Figures> {
        log(format_args!("A bare SMTP client with {CONNECTIONS} connections"));
        self.mailbox.purge().await?;
        let begun = Instant::now();
        let senders = (0..CONNECTIONS).map(|sender| {
            let (mail, smtp) = (mail.trim_end().to_owned(), self.stack.smtp.clone());
            let n_mails = MAILS / CONNECTIONS + u32::from(sender < MAILS % CONNECTIONS);
            async move { tokio::spawn(send(smtp, mail, n_mails)).await.context("a sender panicked")? }
        });
        let mut all = histogram(DIGITS);
        for latency in try_join_all(senders).await?.into_iter().flatten() {
            all.saturating_record(micros(latency));
        }
        Figures::of(&all, begun.elapsed())
    }
}

async fn publish_one(producer: &FutureProducer, encoder: &Encoder, recipient: &str) -> anyhow::Result<()> {
    let event = confirmed(recipient);
    let envelope = Envelope {
        event_id: Uuid::now_v7(),
        event_type: OrderConfirmed::event_type().name.to_owned(),
        occurred_at: Utc::now(),
        propagation: Propagation::default(),
    };
    let headers = envelope
        .to_headers()
        .into_iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(&value) }));
    let (key, payload) = (event.order.order_id.to_string(), encoder.encode(&event)?);
    let record = FutureRecord::to(EVENTS_TOPIC).key(&key).payload(&payload).headers(headers);
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(())
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

/// Sends mails one after another on one connection; returns the time of each.
async fn send(smtp: String, mail: String, n_mails: u32) -> anyhow::Result<Vec<Duration>> {
    let mut smtp = Smtp::connect(&smtp).await?;
    let mut times = Vec::new();
    for _ in 0..n_mails {
        let begun = Instant::now();
        smtp.send("orders@muster.local", CUSTOMER, &mail).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
