//! The time from COMMIT to a consumer. The rows are written as another replica would write them: the relay of the order service hears of
//! them by NOTIFY.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use rdkafka::{message::Message as _, producer::FutureProducer};
use tokio::time::{sleep, sleep_until, timeout};

use super::{IN_FLIGHT, OUTBOX_TOPIC, POLL, TIMEOUT, payload, send, traceparent};
use crate::{
    bench::{Figures, Stack, postgres::ORDERS},
    kafka::{Start, TopicReader},
    recording::{DIGITS, histogram, micros},
};

/// Events per second, and the number of events.
pub(super) const RATE: u32 = 500;
const EVENTS: usize = 60 * RATE as usize;

/// Connections that write rows, one after another.
const WRITERS: usize = 8;

/// Interval of a relay's notifications.
const NOTIFY: Duration = Duration::from_millis(5);

const INSERT: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, occurred_at)
VALUES (gen_random_uuid(), $1, gen_random_uuid()::text, 'bench', $2, $3, now())";

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

/// Through the outbox.
pub(super) async fn of_the_outbox(stack: &Stack<'_>, bootstrap_servers: &str) -> anyhow::Result<Figures> {
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
                client.execute(&insert, &[&OUTBOX_TOPIC, &payload(number), &traceparent(number)]).await?;
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

/// Of a producer alone.
pub(super) async fn of_a_producer(
    producer: &FutureProducer,
    bootstrap_servers: &str,
) -> anyhow::Result<Figures> {
    latency_of(bootstrap_servers, async |clock| {
        let sends = stream::iter(0..EVENTS).map(async |number| {
            sleep_until((clock.begun + start(number)).into()).await;
            clock.starts(number);
            send(producer, number).await
        });
        sends.buffer_unordered(IN_FLIGHT).try_collect().await
    })
    .await
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
