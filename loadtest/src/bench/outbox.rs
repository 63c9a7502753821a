//! Events per second through the outbox, beside a bare idempotent producer of the same messages, and the time from COMMIT to a consumer.
//!
//! The rows are written as another replica would write them: the relay of the order service hears of them by NOTIFY.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use events::{Envelope, Propagation};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use rdkafka::{
    ClientConfig,
    message::{Header, Message as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::{sleep, sleep_until, timeout};
use uuid::Uuid;

use super::{
    Figures, Stack,
    postgres::ORDERS,
    table::{Ratio, Row},
};
use crate::{
    kafka::{Start, TopicReader},
    recording::{DIGITS, histogram, micros},
    run::log,
    target,
};

/// The topic of the messages. The stack must have it.
pub const OUTBOX_TOPIC: &str = "bench.outbox";

/// Rows that wait when the measurement of the rate begins.
const WAITING: u32 = 100_000;

/// Events per second of the measurement of latency, and its events.
const RATE: u32 = 500;
const EVENTS: usize = 60 * RATE as usize;

/// Connections that write rows, one after another.
const WRITERS: usize = 8;

/// Interval of a relay's notifications.
const NOTIFY: Duration = Duration::from_millis(5);

/// Messages that the bare producer sends at once.
const IN_FLIGHT: usize = 4_096;

/// Interval between two looks at the end of the topic.
const POLL: Duration = Duration::from_millis(50);

const TIMEOUT: Duration = Duration::from_mins(3);

const PAYLOAD: usize = 500;

const FILL: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
SELECT gen_random_uuid(), $1, gen_random_uuid()::text, 'bench', convert_to(repeat('.', 500), 'UTF8'), now()
FROM generate_series(1, $2::bigint)";

const INSERT: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, occurred_at)
VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, 'bench', $2, now())";

pub(super) async fn measure(stack: &Stack<'_>) -> anyhow::Result<Vec<Row>> {
    let target::Events { bootstrap_servers, .. } =
        stack.target.events.as_ref().context("the target names no events")?;
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .create()
        .context("the Kafka client")?;
    log(format_args!("{WAITING} rows of the outbox, then as many messages of a bare producer"));
    let fill = async {
        let client = stack.postgres.connect(ORDERS).await?;
        client.execute(FILL, &[&OUTBOX_TOPIC, &i64::from(WAITING)]).await.context("the rows")?;
        anyhow::Ok(())
    };
    let ours = rate(bootstrap_servers, fill).await?;
    let send_all = stream::iter(0..WAITING)
        .map(|_| send(&producer, vec![b'.'; PAYLOAD]))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>();
    let bare = rate(bootstrap_servers, send_all).await?;

    log(format_args!("{RATE} events a second through the outbox, then of a bare producer"));
    let latency = through_the_outbox(stack, bootstrap_servers).await?;
    let bare_latency = latency_of(bootstrap_servers, async |clock| {
        let sends = stream::iter(0..EVENTS).map(async |number| {
            sleep_until((clock.begun + start(number)).into()).await;
            clock.starts(number);
            send(&producer, payload(number)).await
        });
        sends.buffer_unordered(IN_FLIGHT).try_collect().await
    });
    let bare_latency = bare_latency.await?;
    let row = |what: &str, ours, baseline, ratio| Row {
        what: what.to_owned(),
        ours,
        baseline_of: "bare idempotent producer",
        baseline,
        ratio,
    };
    Ok(vec![
        row("outbox, rows waiting", ours, bare, Ratio::Rate(Some(0.8))),
        row("outbox, COMMIT to consumer, goal p99 < 25 ms", latency, bare_latency, Ratio::P99(None)),
    ])
}

/// Messages per second from the first to the last of [`WAITING`].
async fn rate(
    bootstrap_servers: &str,
    publish: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Figures> {
    let reader = TopicReader::open(bootstrap_servers, OUTBOX_TOPIC, Start::End).await?;
    let end = async || {
        let offsets = reader.offsets().await?;
        anyhow::Ok(offsets.values().map(|(_, end)| *end).sum::<i64>())
    };
    let before = end().await?;
    let observe = async {
        let mut first = None;
        loop {
            let n_there = end().await? - before;
            if n_there > 0 {
                let (n_first, since) = *first.get_or_insert((n_there, Instant::now()));
                if n_there >= i64::from(WAITING) {
                    let n_measured = u32::try_from(n_there - n_first)?;
                    return anyhow::Ok(f64::from(n_measured) / since.elapsed().as_secs_f64());
                }
            }
            sleep(POLL).await;
        }
    };
    let both = futures::future::try_join(publish, observe);
    let ((), per_second) = timeout(TIMEOUT, both).await.context("not published in time")??;
    Ok(Figures { per_second, p50_ms: f64::NAN, p99_ms: f64::NAN })
}

/// The starts of the events, in microseconds after the begin.
struct Clock {
    begun: Instant,
    starts: Vec<AtomicU64>,
}

impl Clock {
    fn starts(&self, number: usize) {
        if let Some(start) = self.starts.get(number) {
            start.store(micros(self.begun.elapsed()), Ordering::Relaxed);
        }
    }
}

/// The intended start of an event after the begin.
fn start(number: usize) -> Duration {
    Duration::from_secs(1) * u32::try_from(number).unwrap_or(u32::MAX) / RATE
}

/// A payload that begins with a number.
fn payload(number: usize) -> Vec<u8> {
    let mut payload = format!("{number} ").into_bytes();
    payload.resize(PAYLOAD, b'.');
    payload
}

async fn send(producer: &FutureProducer, payload: Vec<u8>) -> anyhow::Result<()> {
    let envelope = Envelope {
        event_id: Uuid::new_v4(),
        event_type: "bench".to_owned(),
        occurred_at: chrono::Utc::now(),
        propagation: Propagation::default(),
    };
    let headers = envelope.to_headers();
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let key = Uuid::new_v4().to_string();
    let record = FutureRecord::to(OUTBOX_TOPIC).key(&key).payload(&payload).headers(headers);
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(())
}

async fn through_the_outbox(stack: &Stack<'_>, bootstrap_servers: &str) -> anyhow::Result<Figures> {
    let is_news = AtomicBool::new(false);
    let clients = try_join_all((0..WRITERS).map(|_| stack.postgres.connect(ORDERS))).await?;
    let notifier = stack.postgres.connect(ORDERS).await?;
    let notify = async {
        loop {
            if is_news.swap(false, Ordering::Relaxed) {
                notifier.execute("SELECT pg_notify('outbox', '')", &[]).await.context("NOTIFY")?;
            }
            sleep(NOTIFY).await;
        }
    };
    let measured = latency_of(bootstrap_servers, async |clock| {
        let writers = clients.iter().enumerate().map(async |(writer, client)| {
            let insert = client.prepare(INSERT).await?;
            for number in (writer..EVENTS).step_by(WRITERS) {
                sleep_until((clock.begun + start(number)).into()).await;
                client.execute(&insert, &[&OUTBOX_TOPIC, &payload(number)]).await?;
                clock.starts(number);
                is_news.store(true, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
        try_join_all(writers).await.map(drop)
    });
    tokio::select! {
        measured = measured => measured,
        failed = notify => failed,
    }
}

/// The times from the starts of [`EVENTS`] events to a consumer that reads the topic.
async fn latency_of(
    bootstrap_servers: &str,
    publish: impl AsyncFnOnce(&Clock) -> anyhow::Result<()>,
) -> anyhow::Result<Figures> {
    let mut reader = TopicReader::open(bootstrap_servers, OUTBOX_TOPIC, Start::End).await?;
    let clock = Clock {
        begun: Instant::now() + Duration::from_secs(2),
        starts: (0..EVENTS).map(|_| AtomicU64::new(0)).collect(),
    };
    let mut arrivals = vec![0; EVENTS];
    let read = async {
        let mut n_arrived = 0;
        while n_arrived < EVENTS {
            let Some(message) = reader.next(POLL).await? else { continue };
            let now = micros(clock.begun.elapsed());
            let number = message.payload().and_then(|text| std::str::from_utf8(text).ok());
            let number = number.and_then(|text| text.split(' ').next()?.parse::<usize>().ok());
            if let Some(arrival) = number.and_then(|number| arrivals.get_mut(number)).filter(|at| **at == 0) {
                *arrival = now;
                n_arrived += 1;
            }
        }
        anyhow::Ok(())
    };
    let both = futures::future::try_join(publish(&clock), read);
    timeout(TIMEOUT, both).await.context("not published in time")??;
    let mut latencies = histogram(DIGITS);
    for (start, arrival) in clock.starts.iter().zip(&arrivals) {
        latencies.saturating_record(arrival.saturating_sub(start.load(Ordering::Relaxed)));
    }
    Figures::of(&latencies, start(EVENTS))
}
