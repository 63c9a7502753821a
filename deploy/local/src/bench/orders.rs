//! `POST /v1/orders` against its own statements, and what idempotency costs of them.

use super::database::BenchDatabase;
use super::pgbench::Section;
use super::table::{Ratio, Row};
use super::{http, pgbench};
use crate::console::say;
use crate::demo::Scene;

/// Clients at once.
const CLIENTS: [usize; 2] = [8, 32];

pub(super) async fn measure(scene: &Scene, database: &BenchDatabase) -> anyhow::Result<Vec<Row>> {
    let request = pgbench::create_order(&[Section::Process]);
    let bare = pgbench::create_order(&[Section::Process, Section::Idempotency]);
    let whole = pgbench::create_order(&[]);
    let mut rows = Vec::new();
    for n_clients in CLIENTS {
        say(format_args!("POST /v1/orders with {n_clients} clients, then pgbench"));
        let ours = http::place_orders(scene, n_clients).await?;
        let with = pgbench::run(database, &request, n_clients).await?;
        let post = format!("POST /v1/orders, {n_clients} clients");
        rows.push(Row {
            what: post.clone(),
            ours,
            baseline_of: "pgbench, the request's statements",
            baseline: with,
            ratio: Ratio::Rate { at_least: 0.8 },
        });
        rows.push(Row {
            what: post,
            ours,
            baseline_of: "pgbench, request and process",
            baseline: pgbench::run(database, &whole, n_clients).await?,
            ratio: Ratio::RateShown,
        });
        rows.push(Row {
            what: format!("pgbench with idempotency, {n_clients} clients"),
            ours: with,
            baseline_of: "pgbench without idempotency",
            baseline: pgbench::run(database, &bare, n_clients).await?,
            ratio: Ratio::RateShown,
        });
    }
    Ok(rows)
}
