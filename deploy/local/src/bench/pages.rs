//! The first page of a million orders against the ten-thousandth, by keyset and by offset.

use anyhow::Context;

use super::database::BenchDatabase;
use super::pgbench;
use super::table::{Ratio, Row};
use crate::console::say;

/// A tenant with a million orders, a tenth of a second apart.
const FILL: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, total_minor, currency, version, placed_at, updated_at)
SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 'many', 'bench@example.com', 'pending', 890, 'EUR', 1,
    at, at
FROM generate_series(1, 1000000) AS n, LATERAL (SELECT timestamptz '2026-01-01' + n * interval '0.1 s' AS at) AS time;
CREATE INDEX IF NOT EXISTS bench_orders_by_time ON orders (tenant, placed_at, id);
ANALYZE orders;
CHECKPOINT";

const PAGE: &str = "\
SELECT id, customer_email, state, rejection_reason, total_minor, currency, placed_at, updated_at
FROM orders WHERE tenant = 'many'";

const NEWEST_FIRST: &str = "ORDER BY placed_at DESC, id DESC LIMIT 50";

/// Rows before the 10,000th page of 50.
const BEFORE: u32 = 9_999 * 50;

/// One client: the price of a page, not of a queue.
const CLIENTS: usize = 1;

pub(super) async fn measure(database: &BenchDatabase) -> anyhow::Result<Vec<Row>> {
    say("Filling a million orders");
    let client = database.client().await?;
    client.batch_execute(FILL).await.context("a million orders")?;
    let last = client
        .query_one("SELECT placed_at::text, id::text FROM orders WHERE tenant = 'many' ORDER BY placed_at DESC, id DESC OFFSET $1 LIMIT 1", &[&i64::from(BEFORE - 1)])
        .await
        .context("the row before the 10,000th page")?;
    let (at, id): (String, String) = (last.get(0), last.get(1));

    let first = format!("{PAGE} {NEWEST_FIRST};\n");
    let keyset = format!("{PAGE} AND (placed_at, id) < (timestamptz '{at}', uuid '{id}') {NEWEST_FIRST};\n");
    let offset = format!("{PAGE} {NEWEST_FIRST} OFFSET {BEFORE};\n");
    say("The first page, and the 10,000th by keyset and by offset");
    let first = pgbench::run(database, &first, CLIENTS).await?;
    let row = |what: &str, ours, ratio| Row {
        what: what.to_owned(),
        ours,
        baseline_of: "first page of 50, SQL alone",
        baseline: first,
        ratio,
    };
    Ok(vec![
        row(
            "10,000th page by keyset",
            pgbench::run(database, &keyset, CLIENTS).await?,
            Ratio::P99 { at_most: 1.2 },
        ),
        row("10,000th page by offset", pgbench::run(database, &offset, CLIENTS).await?, Ratio::P99Shown),
    ])
}
