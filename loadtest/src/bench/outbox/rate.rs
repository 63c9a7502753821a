//! Events per second while many wait, and the processor time of each.

use std::time::Instant;

use anyhow::Context;
use futures::{StreamExt as _, TryStreamExt as _, future::try_join, stream};
use rdkafka::producer::FutureProducer;
use tokio::time::{sleep, timeout};

use super::{IN_FLIGHT, OUTBOX_TOPIC, POLL, TIMEOUT, send};
use crate::{
    bench::{
        Figures, Stack,
        cpu::{Cost, Processes},
        postgres::ORDERS,
    },
    kafka::{Start, TopicReader},
};

/// Events of a measurement.
pub(super) const WAITING: u32 = 400_000;

/// The same before it, to warm up the broker and the clients.
const WARM_UP: u32 = 50_000;

/// As the services write rows: each has the trace of its cause, of which one in a hundred is recorded.
const FILL: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, occurred_at)
SELECT gen_random_uuid(), $1, gen_random_uuid()::text, 'bench', convert_to(repeat('.', 500), 'UTF8'),
    format('00-%s-%s-%s', md5(n::text), left(md5(n::text), 16), CASE n % 100 WHEN 0 THEN '01' ELSE '00' END), now()
FROM generate_series(1, $2::bigint) n";

/// The server's end of the session of the only relay.
const SESSION: &str = "SELECT min(session) FROM outbox_bucket";

/// Through the outbox.
pub(super) async fn of_the_outbox(
    stack: &Stack<'_>,
    bootstrap_servers: &str,
) -> anyhow::Result<(Figures, Cost)> {
    let client = stack.postgres.connect(ORDERS).await?;
    let session: i32 = client.query_one(SESSION, &[]).await.context("the relay's session")?.try_get(0)?;
    let processes = Processes::new(stack.orders, Some(session.cast_unsigned()), stack.broker)?;
    measure(bootstrap_servers, &processes, async |number| {
        client.execute(FILL, &[&OUTBOX_TOPIC, &i64::from(number)]).await.context("the rows").map(drop)
    })
    .await
}

/// Of a producer alone.
pub(super) async fn of_a_producer(
    stack: &Stack<'_>,
    bootstrap_servers: &str,
    producer: &FutureProducer,
) -> anyhow::Result<(Figures, Cost)> {
    let processes = Processes::new(std::process::id(), None, stack.broker)?;
    measure(bootstrap_servers, &processes, async |number| {
        let sends = stream::iter(0..number as usize).map(|number| send(producer, number));
        sends.buffer_unordered(IN_FLIGHT).try_collect().await
    })
    .await
}

/// Publishes [`WARM_UP`] events and then [`WAITING`], which are measured.
async fn measure(
    bootstrap_servers: &str,
    processes: &Processes,
    publish: impl AsyncFn(u32) -> anyhow::Result<()>,
) -> anyhow::Result<(Figures, Cost)> {
    rate(bootstrap_servers, WARM_UP, publish(WARM_UP)).await?;
    let before = processes.times()?;
    let per_second = rate(bootstrap_servers, WAITING, publish(WAITING)).await?;
    let cost = Cost::between(&before, &processes.times()?, WAITING);
    Ok((Figures { per_second, p50_ms: f64::NAN, p99_ms: f64::NAN }, cost))
}

/// Events per second from the first to the last of `number`.
async fn rate(
    bootstrap_servers: &str,
    number: u32,
    publish: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<f64> {
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
                if n_there >= i64::from(number) {
                    let n_measured = u32::try_from(n_there - n_first)?;
                    return anyhow::Ok(f64::from(n_measured) / since.elapsed().as_secs_f64());
                }
            }
            sleep(POLL).await;
        }
    };
    let ((), per_second) =
        timeout(TIMEOUT, try_join(publish, observe)).await.context("not published in time")??;
    Ok(per_second)
}
