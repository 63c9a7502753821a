//! Mails per second: email-consumer with events that wait in a topic, beside a bare SMTP client that sends the same mails to the same
//! mail server, and beside the email-consumer of an earlier commit.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use events::orders::event_types;
use futures::{
    StreamExt as _, TryStreamExt as _,
    future::{OptionFuture, try_join_all},
    stream,
};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use super::{
    CUSTOMER, Figures, Stack,
    publisher::Publisher,
    table::{Ratio, Row},
};
use crate::{
    imap::mailbox_status,
    mailbox::Mailbox,
    recording::{DIGITS, histogram, micros},
    run::log,
    smtp::Smtp,
};

/// Number of events, each of which becomes a mail.
pub(super) const MAILS: u32 = 10_000;

/// Connections of the bare client.
const CONNECTIONS: u32 = 6;

/// The topic of the events. The stack must have it, with as many partitions as the product's topic.
pub const EVENTS_TOPIC: &str = "bench.mails";

/// The dead-letter topic.
pub const DEAD_LETTER_TOPIC: &str = "bench.mails.dlq";

/// The only retry topic.
pub const RETRY_TOPIC: &str = "bench.mails.retry.5s";

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
    imap: &'a str,
    mailbox: Mailbox,
}

pub(super) async fn measure(stack: &Stack<'_>, earlier: Option<&Path>) -> anyhow::Result<Vec<Row>> {
    let mailbox = stack.target.mailbox.as_ref().context("the target names no mailbox")?;
    let api_url = mailbox.api_url.as_ref().context("the target names no api_url of the mailbox")?;
    let events = stack.target.events.as_ref().context("the target names no events")?;
    let bench = Bench { stack, imap: &mailbox.imap, mailbox: Mailbox::new(api_url)? };
    log(format_args!("Publishing {MAILS} events"));
    let publisher = Publisher::new(events, EVENTS_TOPIC, &event_types()).await?;
    publisher.confirm(SAMPLE).await.context("the sample")?;
    publish(&publisher, MAILS).await?;
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
        let env = self.stack.consumer_env(name, EVENTS_TOPIC).await?;
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

/// Publishes events of this many confirmed orders of the customer.
pub(super) async fn publish(publisher: &Publisher, number: u32) -> anyhow::Result<()> {
    let events = stream::iter(0..number).map(|_| publisher.confirm(CUSTOMER));
    events.buffer_unordered(IN_FLIGHT).try_collect().await.context("the events")
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
