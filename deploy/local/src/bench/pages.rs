//! The first page of a million orders against the ten-thousandth: over HTTP, and in SQL by keyset and by offset.

use anyhow::Context;
use serde::Deserialize;

use super::Figures;
use super::database::{BenchDatabase, ORDERS};
use super::http::{Clients, connect, exchange};
use super::pgbench;
use super::table::{Ratio, Row};
use crate::console::print;
use crate::demo::Scene;

/// A million orders of the client's tenant, a tenth of a second apart. They have no process, so nobody works on them.
const FILL: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, total_minor, currency, version, placed_at, updated_at)
SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 'acme', 'bench@example.com', 'pending', 890, 'EUR', 1,
    at, at
FROM generate_series(1, 1000000) AS n, LATERAL (SELECT timestamptz '2026-01-01' + n * interval '0.1 s' AS at) AS time";

const SETTLE: [&str; 2] = ["VACUUM ANALYZE orders", "CHECKPOINT"];

const PAGE: &str = "\
SELECT id, customer_email, state, rejection_reason, total_minor, currency, placed_at, updated_at
FROM orders WHERE tenant = 'acme'";

const NEWEST_FIRST: &str = "ORDER BY placed_at DESC, id DESC LIMIT 51";

/// Rows before the 10,000th page of 50.
const BEFORE: u32 = 9_999 * 50;

/// The most that a page can have, to get there sooner.
const STEP: u32 = 200;

/// One client: the price of a page, not of a queue.
const CLIENTS: usize = 1;

/// The part of a page that leads on.
#[derive(Deserialize)]
struct Page {
    next: Option<String>,
}

pub(super) async fn measure(scene: &Scene, database: &BenchDatabase) -> anyhow::Result<Vec<Row>> {
    print("Filling a million orders");
    let client = database.connect(ORDERS).await?;
    client.batch_execute(FILL).await.context("a million orders")?;
    for statement in SETTLE {
        client.batch_execute(statement).await.context(statement)?;
    }
    Ok([over_http(scene).await?, in_sql(&client, database).await?].concat())
}

async fn over_http(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    print("Walking to the 10,000th page over HTTP");
    let far = cursor_after(scene, BEFORE).await?;
    let first = page(scene, "/v1/orders?limit=50").await?;
    let far = page(scene, &format!("/v1/orders?limit=50&cursor={far}")).await?;
    Ok(vec![Row {
        what: "GET /v1/orders, 10,000th page".to_owned(),
        ours: far,
        baseline_of: "GET /v1/orders, first page",
        baseline: first,
        ratio: Ratio::P99 { at_most: 1.2 },
    }])
}

async fn page(scene: &Scene, path_and_query: &str) -> anyhow::Result<Figures> {
    let request = || scene.page_request(path_and_query);
    Clients { authority: scene.orders_authority()?, number: CLIENTS, request, status: 200 }.run().await
}

/// Follows `next` over so many rows.
async fn cursor_after(scene: &Scene, rows: u32) -> anyhow::Result<String> {
    let server = connect(scene.orders_authority()?, CLIENTS)?;
    let mut cursor = None;
    let mut left = rows;
    while left > 0 {
        let limit = left.min(STEP);
        let cursor_parameter = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let request = scene.page_request(&format!("/v1/orders?limit={limit}{cursor_parameter}"))?;
        let answer = exchange(&server, request, 200).await?;
        let page: Page = serde_json::from_slice(&answer.body).context("a page of orders")?;
        cursor = Some(page.next.context("the orders ended before the 10,000th page")?);
        left -= limit;
    }
    cursor.context("no page was asked for")
}

async fn in_sql(client: &tokio_postgres::Client, database: &BenchDatabase) -> anyhow::Result<Vec<Row>> {
    let last = client
        .query_one(
            "SELECT placed_at::text, id::text FROM orders WHERE tenant = 'acme' ORDER BY placed_at DESC, id DESC OFFSET $1 LIMIT 1",
            &[&i64::from(BEFORE - 1)],
        )
        .await
        .context("the row before the 10,000th page")?;
    let (at, id): (String, String) = (last.try_get(0)?, last.try_get(1)?);
    let first = format!("{PAGE} {NEWEST_FIRST};\n");
    let keyset = format!("{PAGE} AND (placed_at, id) < (timestamptz '{at}', uuid '{id}') {NEWEST_FIRST};\n");
    let offset = format!("{PAGE} {NEWEST_FIRST} OFFSET {BEFORE};\n");
    print("The same in SQL, by keyset and by offset");
    let first = pgbench::run(database, ORDERS, &first, CLIENTS).await?;
    let row = |what: &str, ours, ratio| Row {
        what: what.to_owned(),
        ours,
        baseline_of: "SQL alone, first page",
        baseline: first,
        ratio,
    };
    Ok(vec![
        row(
            "SQL alone, 10,000th page by keyset",
            pgbench::run(database, ORDERS, &keyset, CLIENTS).await?,
            Ratio::P99 { at_most: 1.2 },
        ),
        row(
            "SQL alone, 10,000th page by offset",
            pgbench::run(database, ORDERS, &offset, CLIENTS).await?,
            Ratio::P99Shown,
        ),
    ])
}
