//! A closed loop over HTTP, as pgbench makes one: each client sends its next request when it has the answer to the last.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use loadtest::connections::{Connections, Limits};

use super::pgbench::figures;
use super::{Figures, MEASURING, WARMING};
use crate::demo::Scene;

/// Places orders with so many clients: first to warm up, then to measure.
pub(super) async fn place_orders(scene: &Scene, n_clients: usize) -> anyhow::Result<Figures> {
    run_for(scene, n_clients, WARMING).await?;
    run_for(scene, n_clients, MEASURING).await
}

async fn run_for(scene: &Scene, n_clients: usize, duration: Duration) -> anyhow::Result<Figures> {
    let limits = Limits {
        connections: n_clients,
        waiting: n_clients,
        slot_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(10),
    };
    let server = Connections::new(&scene.orders_authority(), limits)?;
    let end = Instant::now() + duration;
    let clients = (0..n_clients).map(|_| client(scene, &server, end));
    let mut all = Histogram::<u64>::new(3).context("a histogram")?;
    for of_client in try_join_all(clients).await? {
        all.add(&of_client).context("histograms of one kind")?;
    }
    figures(&all, duration)
}

async fn client(scene: &Scene, server: &Connections, end: Instant) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = Histogram::<u64>::new(3).context("a histogram")?;
    while Instant::now() < end {
        let request = scene.new_order_request()?;
        let sent_at = Instant::now();
        let answer = server.send(request, sent_at).await;
        let answer = answer.map_err(|failure| anyhow::anyhow!("POST /v1/orders: {}", failure.label()))?;
        ensure!(answer.status == 202, "POST /v1/orders answers {}", answer.status);
        latencies.saturating_record(u64::try_from(sent_at.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}
