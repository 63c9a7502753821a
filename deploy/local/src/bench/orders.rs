//! `POST /v1/orders` against its own statements, and what idempotency costs of them.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::database::{BenchDatabase, NAME, ORDERS};
use super::http::Clients;
use super::pgbench::{self, Section};
use super::table::{Ratio, Row};
use crate::console::print;
use crate::demo::Scene;

/// Clients at once.
const CLIENTS: [usize; 2] = [8, 32];

/// Whether an order is not final, or an event not published.
const HAS_WORK: &str =
    "SELECT EXISTS (SELECT FROM order_process WHERE step <> 'done') OR EXISTS (SELECT FROM outbox)";

const SETTLE_POLL: Duration = Duration::from_millis(200);
const SETTLE_TIMEOUT: Duration = Duration::from_mins(5);

pub(super) async fn measure(scene: &Scene, database: &BenchDatabase) -> anyhow::Result<Vec<Row>> {
    let one_by_one = pgbench::create_order(&[Section::Process, Section::Pipelines]);
    let request = pgbench::create_order(&[Section::Process]);
    let bare = pgbench::create_order(&[Section::Process, Section::Idempotency]);
    let whole = pgbench::create_order(&[]);
    let service = database.connect(ORDERS).await?;
    let mut rows = Vec::new();
    for n_clients in CLIENTS {
        print(format_args!("pgbench with {n_clients} clients, then POST /v1/orders"));
        let baseline = async |script: &str| pgbench::run(database, NAME, script, n_clients).await;
        let (one_by_one, bare) = (baseline(&one_by_one).await?, baseline(&bare).await?);
        let (request, whole) = (baseline(&request).await?, baseline(&whole).await?);
        let clients = Clients {
            authority: scene.orders_authority()?,
            number: n_clients,
            request: || scene.new_order_request(),
            status: 202,
        };
        let ours = clients.run().await?;
        settle(&service).await?;
        let row = |baseline_of, baseline, ratio| Row {
            what: format!("POST /v1/orders, {n_clients} clients"),
            ours,
            baseline_of,
            baseline,
            ratio,
        };
        rows.push(row("pgbench, the request's statements", one_by_one, Ratio::Rate { at_least: 0.8 }));
        rows.push(row("the same, pipelined as the service's", request, Ratio::RateShown));
        rows.push(row("pgbench, request and process", whole, Ratio::RateShown));
        rows.push(Row {
            what: format!("pgbench with idempotency, {n_clients} clients"),
            ours: request,
            baseline_of: "pgbench without idempotency",
            baseline: bare,
            ratio: Ratio::RateShown,
        });
    }
    Ok(rows)
}

/// Waits until the service is done with every order, so that it has no part in what is measured next.
async fn settle(service: &Client) -> anyhow::Result<()> {
    let settled = async {
        while service.query_one(HAS_WORK, &[]).await?.try_get(0)? {
            sleep(SETTLE_POLL).await;
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    timeout(SETTLE_TIMEOUT, settled).await.context("orders are still worked on")?.context("the orders")
}
