//! `POST /v1/orders` beside its own SQL statements, and the price of idempotency in SQL.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    CUSTOMER, Stack, closed_loop,
    pgbench::{self, Section},
    postgres::{BENCH, ORDERS},
    table::{Ratio, Row},
};
use crate::{api::Api, reconcile::Line, run::log};

/// Numbers of concurrent clients.
const CLIENTS: [usize; 2] = [8, 32];

/// Whether an order is not final, or an event is not published.
const HAS_WORK: &str = "SELECT EXISTS (SELECT FROM order_process WHERE step <> 'done') OR EXISTS (SELECT FROM outbox_unpublished)";

const SETTLE_POLL: Duration = Duration::from_millis(200);
const SETTLE_TIMEOUT: Duration = Duration::from_mins(5);

pub(super) async fn measure(stack: &Stack<'_>, api: &Api) -> anyhow::Result<Vec<Row>> {
    let one_by_one = pgbench::create_order(&[Section::Process, Section::Pipelines]);
    let request = pgbench::create_order(&[Section::Process]);
    let bare = pgbench::create_order(&[Section::Process, Section::Idempotency]);
    let whole = pgbench::create_order(&[]);
    let service = stack.postgres.connect(ORDERS).await?;
    let mut rows = Vec::new();
    for n_clients in CLIENTS {
        log(format_args!("pgbench with {n_clients} clients, then POST /v1/orders"));
        let baseline = async |script: &str| pgbench::run(&stack.postgres, BENCH, script, n_clients).await;
        let (one_by_one, bare) = (baseline(&one_by_one).await?, baseline(&bare).await?);
        let (request, whole) = (baseline(&request).await?, baseline(&whole).await?);
        let (api, skus) = (api.clone(), stack.target.skus.clone());
        let new_order = move || {
            let lines: Vec<_> =
                skus.iter().take(2).map(|sku| Line { sku: sku.clone(), quantity: 1 }).collect();
            api.place_order(Uuid::new_v4(), CUSTOMER, &lines)
        };
        let ours = closed_loop::measure(&stack.target.orders_url, n_clients, 202, new_order).await?;
        settle(&service).await?;
        let row = |baseline_of, baseline, ratio| Row {
            what: format!("POST /v1/orders, {n_clients} clients"),
            ours,
            baseline_of,
            baseline,
            ratio,
        };
        rows.push(row("pgbench, the request's statements", one_by_one, Ratio::Rate(Some(0.8))));
        rows.push(row("the same, pipelined as the service's", request, Ratio::Rate(None)));
        rows.push(row("pgbench, request and process", whole, Ratio::Rate(None)));
        rows.push(Row {
            what: format!("pgbench with idempotency, {n_clients} clients"),
            ours: request,
            baseline_of: "pgbench without idempotency",
            baseline: bare,
            ratio: Ratio::Rate(None),
        });
    }
    Ok(rows)
}

/// Waits until the service has processed every order, so that it does not disturb the next measurement.
async fn settle(service: &Client) -> anyhow::Result<()> {
    let settled = async {
        while service.query_one(HAS_WORK, &[]).await?.try_get(0)? {
            sleep(SETTLE_POLL).await;
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    timeout(SETTLE_TIMEOUT, settled).await.context("orders are still not final")?.context("the orders")
}
