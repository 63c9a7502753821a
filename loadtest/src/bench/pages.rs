//! The first page of a million orders beside the 10,000th page: over HTTP, and in SQL by keyset and by offset.

use anyhow::Context;
use serde::Deserialize;

use super::{
    Figures, Postgres, Stack, closed_loop, pgbench,
    postgres::ORDERS,
    table::{Ratio, Row},
};
use crate::{
    api::Api,
    connections::{Connections, Limits},
    run::log,
};

/// A million orders of the client's tenant, a tenth of a second apart. They have no process, so the service does not process them.
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

/// The largest page size.
const STEP: u32 = 200;

/// One client, so that no request waits for another.
const CLIENTS: usize = 1;

/// The link to the next page.
#[derive(Deserialize)]
struct Page {
    next: Option<String>,
}

pub(super) async fn measure(stack: &Stack<'_>, api: &Api) -> anyhow::Result<Vec<Row>> {
    log(format_args!("Inserting a million orders"));
    let client = stack.postgres.connect(ORDERS).await?;
    client.batch_execute(FILL).await.context("a million orders")?;
    for statement in SETTLE {
        client.batch_execute(statement).await.context(statement)?;
    }
    let orders = &stack.target.orders_url;
    Ok([over_http(orders, api).await?, in_sql(&client, &stack.postgres).await?].concat())
}

async fn over_http(orders: &str, api: &Api) -> anyhow::Result<Vec<Row>> {
    log(format_args!("Reading up to the 10,000th page over HTTP"));
    let far = cursor_after(orders, api, BEFORE).await?;
    let first = page(orders, api, "/v1/orders?limit=50").await?;
    let far = page(orders, api, &format!("/v1/orders?limit=50&cursor={far}")).await?;
    Ok(vec![Row {
        what: "GET /v1/orders, 10,000th page".to_owned(),
        ours: far,
        baseline_of: "GET /v1/orders, first page",
        baseline: first,
        ratio: Ratio::P99(Some(1.2)),
    }])
}

async fn page(orders: &str, api: &Api, path_and_query: &str) -> anyhow::Result<Figures> {
    let request = api.get(path_and_query)?;
    closed_loop::measure(orders, CLIENTS, 200, move || request.clone()).await
}

/// Returns the cursor after this number of rows.
async fn cursor_after(orders: &str, api: &Api, rows: u32) -> anyhow::Result<String> {
    let server = Connections::new(orders, Limits::FEW)?;
    let (mut cursor, mut parameter) = (String::new(), String::new());
    let mut left = rows;
    while left > 0 {
        let limit = left.min(STEP);
        let request = api.get(&format!("/v1/orders?limit={limit}{parameter}"))?;
        let page: Page = server.call(request).await?.expect(200)?.json()?;
        cursor = page.next.context("the orders end before the 10,000th page")?;
        parameter = format!("&cursor={cursor}");
        left -= limit;
    }
    Ok(cursor)
}

async fn in_sql(client: &tokio_postgres::Client, server: &Postgres) -> anyhow::Result<Vec<Row>> {
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
    log(format_args!("The same pages in SQL, by keyset and by offset"));
    let run = async |script: &str| pgbench::run(server, ORDERS, script, CLIENTS).await;
    let first = run(&first).await?;
    let row = |what: &str, ours, ratio| Row {
        what: what.to_owned(),
        ours,
        baseline_of: "SQL alone, first page",
        baseline: first,
        ratio,
    };
    Ok(vec![
        row("SQL alone, 10,000th page by keyset", run(&keyset).await?, Ratio::P99(Some(1.2))),
        row("SQL alone, 10,000th page by offset", run(&offset).await?, Ratio::P99(None)),
    ])
}
