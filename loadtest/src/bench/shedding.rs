//! Mails about orders while promotions bring five times what the mail server takes, beside the same mails without promotions.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use events::{
    orders,
    promotions::{self, CustomerLapsed},
};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join, stream};
use tokio::time::{sleep, sleep_until, timeout};
use uuid::Uuid;

use super::{
    Figures, Stack,
    publisher::Publisher,
    slow_smtp::SlowSmtp,
    table::{Ratio, Row},
};
use crate::{
    recording::{DIGITS, histogram, micros},
    run::log,
};

/// The topic of the events of orders. The stack must have it.
pub const ORDERS_TOPIC: &str = "bench.shedding.orders";
/// The topic of the promotions. The stack must have it.
pub const PROMOTIONS_TOPIC: &str = "bench.shedding.promotions";

/// Time of the mail server for a mail: it takes twenty in a second.
const EACH: Duration = Duration::from_millis(50);

/// Mails about orders per second, a quarter of that.
const ORDERS: f64 = 5.0;

/// Promotions per second: with the orders five times what the server takes.
const PROMOTIONS: f64 = 95.0;

/// Duration of each measurement.
const MEASURED: Duration = Duration::from_mins(1);

/// The time before a measurement: connections, caches, and with promotions the beginning of shedding.
const WARM_UP: Duration = Duration::from_secs(5);

/// Time limit for the last mails after the end of a measurement.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(100);

/// Concurrent events to the broker.
const IN_FLIGHT: usize = 1_000;

/// Publishes both kinds of events for an email-consumer at a slow mail server.
struct Bench {
    smtp: SlowSmtp,
    orders: Publisher,
    promotions: Publisher,
}

pub(super) async fn measure(stack: &Stack<'_>) -> anyhow::Result<Row> {
    let events = stack.target.events.as_ref().context("the target names no events")?;
    let bench = Bench {
        smtp: SlowSmtp::start(EACH).await.context("the mail server")?,
        orders: Publisher::new(events, ORDERS_TOPIC, &orders::event_types()).await?,
        promotions: Publisher::new(events, PROMOTIONS_TOPIC, &promotions::event_types()).await?,
    };
    let mut env = stack.consumer_env("shedding", ORDERS_TOPIC).await?;
    env.push(("ORDERS_PROMOTIONS_TOPIC", PROMOTIONS_TOPIC.to_owned()));
    env.push(("SMTP_HOST", "127.0.0.1".to_owned()));
    env.push(("SMTP_PORT", bench.smtp.port.to_string()));
    let mut consumer = (stack.start_email_consumer)("shedding", None, env)?;
    let measured = bench.compare().await;
    consumer.kill().await.context("the end of email-consumer")?;
    let (baseline, ours) = measured?;
    Ok(Row {
        what: "mails about orders, at 5 times the capacity".to_owned(),
        ours,
        baseline_of: "without promotions",
        baseline,
        ratio: Ratio::P99(Some(2.0)),
    })
}

impl Bench {
    async fn compare(&self) -> anyhow::Result<(Figures, Figures)> {
        log(format_args!("{ORDERS} mails a second about orders, to a mail server that takes twenty"));
        // The first mail proves that the email-consumer has started.
        self.orders.confirm("first@example.com").await?;
        self.wait_for(1, "first").await?;
        let unloaded = self.measure_orders("unloaded").await?;
        log(format_args!("The same with {PROMOTIONS} promotions a second"));
        let load = open_loop(PROMOTIONS, |_| self.promote());
        let (loaded, _) = try_join(self.measure_orders("loaded"), load).await?;
        Ok((unloaded, loaded))
    }

    /// Publishes orders, and returns the times from each event to the acceptance of its mail.
    async fn measure_orders(&self, name: &str) -> anyhow::Result<Figures> {
        let address = |number: usize| format!("{name}-{number}@example.com");
        let starts = open_loop(ORDERS, |number| {
            let address = address(number);
            async move { self.orders.confirm(&address).await }
        })
        .await?;
        self.wait_for(starts.len(), name).await?;
        let accepted = self.smtp.accepted();
        let mut latencies = histogram(DIGITS);
        let begun = starts.first().copied().context("no order")?;
        for (number, start) in starts.iter().enumerate() {
            let times = accepted.get(&address(number)).context("a mail is missing")?;
            ensure!(times.len() == 1, "{} mails for one order", times.len());
            if *start >= begun + WARM_UP {
                latencies.saturating_record(micros(times[0] - *start));
            }
        }
        let n_promotions = accepted.iter().filter(|(to, _)| to.starts_with("promotion")).count();
        log(format_args!(
            "{} mails about orders, each once; {n_promotions} promotions until then",
            starts.len()
        ));
        Figures::of(&latencies, MEASURED)
    }

    /// Waits until this many mails of a phase were accepted.
    async fn wait_for(&self, number: usize, name: &str) -> anyhow::Result<()> {
        let arrived = async {
            while self.smtp.accepted().keys().filter(|to| to.starts_with(name)).count() < number {
                sleep(POLL).await;
            }
        };
        timeout(DRAIN_TIMEOUT, arrived).await.with_context(|| format!("mails of {name} are missing"))
    }

    async fn promote(&self) -> anyhow::Result<()> {
        let customer_id = Uuid::new_v4();
        let event = CustomerLapsed {
            customer_id,
            tenant: "acme".to_owned(),
            customer_email: format!("promotion-{}@example.com", customer_id.simple()),
            n_purchases: 3,
            last_purchase_at: Utc::now() - TimeDelta::days(8),
            unsubscribe_url: format!("https://orders.example/unsubscribe/{}", customer_id.simple()),
            expires_at: Utc::now() + TimeDelta::minutes(45),
        };
        self.promotions.publish(customer_id, &event).await
    }
}

/// Starts `send` at random times (a Poisson process), at `rate` per second, during the warm-up and the measurement. Returns the starts.
async fn open_loop<F: Future<Output = anyhow::Result<()>>>(
    rate: f64,
    send: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<Instant>> {
    let begun = Instant::now();
    let mut starts = Vec::new();
    let mut at = 0.0;
    while at < (WARM_UP + MEASURED).as_secs_f64() {
        starts.push(begun + Duration::from_secs_f64(at));
        at -= (1.0 - rand::random::<f64>()).ln() / rate;
    }
    let sends = stream::iter(starts.iter().enumerate()).map(async |(number, start)| {
        sleep_until((*start).into()).await;
        send(number).await
    });
    sends.buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
    Ok(starts)
}
