//! `POST /v1/orders` against its own statements, and what idempotency costs of them.

use super::database::{BenchDatabase, NAME};
use super::http::Clients;
use super::pgbench::{self, Section};
use super::table::{Ratio, Row};
use crate::console::say;
use crate::demo::Scene;

/// Clients at once.
const CLIENTS: [usize; 2] = [8, 32];

pub(super) async fn measure(scene: &Scene, database: &BenchDatabase) -> anyhow::Result<Vec<Row>> {
    let one_by_one = pgbench::create_order(&[Section::Process, Section::Pipelines]);
    let request = pgbench::create_order(&[Section::Process]);
    let bare = pgbench::create_order(&[Section::Process, Section::Idempotency]);
    let whole = pgbench::create_order(&[]);
    let mut rows = Vec::new();
    for n_clients in CLIENTS {
        say(format_args!("POST /v1/orders with {n_clients} clients, then pgbench"));
        let clients = Clients {
            authority: &scene.orders_authority(),
            number: n_clients,
            request: || scene.new_order_request(),
            status: 202,
        };
        let ours = clients.run().await?;
        let pipelined = pgbench::run(database, NAME, &request, n_clients).await?;
        let row = |baseline_of, baseline, ratio| Row {
            what: format!("POST /v1/orders, {n_clients} clients"),
            ours,
            baseline_of,
            baseline,
            ratio,
        };
        rows.push(row(
            "pgbench, the request's statements",
            pgbench::run(database, NAME, &one_by_one, n_clients).await?,
            Ratio::Rate { at_least: 0.8 },
        ));
        rows.push(row("the same, pipelined as the service's", pipelined, Ratio::RateShown));
        rows.push(row(
            "pgbench, request and process",
            pgbench::run(database, NAME, &whole, n_clients).await?,
            Ratio::RateShown,
        ));
        rows.push(Row {
            what: format!("pgbench with idempotency, {n_clients} clients"),
            ours: pipelined,
            baseline_of: "pgbench without idempotency",
            baseline: pgbench::run(database, NAME, &bare, n_clients).await?,
            ratio: Ratio::RateShown,
        });
    }
    Ok(rows)
}
