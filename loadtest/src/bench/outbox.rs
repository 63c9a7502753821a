//! Events through the outbox, beside a bare idempotent producer of the same messages: how many per second, what each costs, and the time
//! from COMMIT to a consumer.

mod latency;
mod rate;

use std::time::Duration;

use anyhow::Context;
use events::{Envelope, Propagation};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use uuid::Uuid;

use super::{
    Stack, cpu,
    table::{Ratio, Row},
};
use crate::{run::log, target};

/// The topic of the messages. The stack must have it.
pub const OUTBOX_TOPIC: &str = "bench.outbox";

/// Messages that the bare producer sends at once.
const IN_FLIGHT: usize = 4_096;

/// Interval between two looks at the end of the topic.
const POLL: Duration = Duration::from_millis(50);

const TIMEOUT: Duration = Duration::from_mins(3);

const PAYLOAD: usize = 500;

/// Measures, and returns the figures as rows, and the processor time as a table.
pub(super) async fn measure(stack: &Stack<'_>) -> anyhow::Result<(Vec<Row>, String)> {
    let target::Events { bootstrap_servers, .. } =
        stack.target.events.as_ref().context("the target names no events")?;
    // As that of the relay, but idempotent (ADR 0050).
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .create()
        .context("the Kafka client")?;
    log(format_args!("{} rows of the outbox, then as many messages of a bare producer", rate::WAITING));
    let (ours, our_cost) = rate::of_the_outbox(stack, bootstrap_servers).await?;
    let (bare, bare_cost) = rate::of_a_producer(stack, bootstrap_servers, &producer).await?;
    log(format_args!("{} events a second through the outbox, then of a bare producer", latency::RATE));
    let our_latency = latency::of_the_outbox(stack, bootstrap_servers).await?;
    let bare_latency = latency::of_a_producer(&producer, bootstrap_servers).await?;
    let row = |what: &str, ours, baseline, ratio| Row {
        what: what.to_owned(),
        ours,
        baseline_of: "bare idempotent producer",
        baseline,
        ratio,
    };
    let rows = vec![
        row("outbox, rows waiting", ours, bare, Ratio::Rate(Some(0.8))),
        row("outbox, COMMIT to consumer, goal p99 < 25 ms", our_latency, bare_latency, Ratio::P99(None)),
    ];
    Ok((rows, cpu::render(&[("outbox", our_cost), ("bare idempotent producer", bare_cost)])?))
}

/// A payload that begins with a number.
fn payload(number: usize) -> Vec<u8> {
    let mut payload = format!("{number} ").into_bytes();
    payload.resize(PAYLOAD, b'.');
    payload
}

/// A trace of its own for each number; one in a hundred is recorded.
fn traceparent(number: usize) -> String {
    let flags = u8::from(number.is_multiple_of(100));
    format!("00-{}-{:016x}-{flags:02x}", Uuid::new_v4().simple(), number + 1)
}

/// Sends a message like that of a row.
async fn send(producer: &FutureProducer, number: usize) -> anyhow::Result<()> {
    let envelope = Envelope {
        event_id: Uuid::new_v4(),
        event_type: "bench".to_owned(),
        occurred_at: chrono::Utc::now(),
        propagation: Propagation { traceparent: Some(traceparent(number)), ..Propagation::default() },
    };
    let headers = envelope.to_headers();
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let (key, payload) = (Uuid::new_v4().to_string(), payload(number));
    let record = FutureRecord::to(OUTBOX_TOPIC).key(&key).payload(&payload).headers(headers);
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(())
}
