//! A closed loop over HTTP, as pgbench makes one: each client sends its next request when it has the answer to the last.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use loadtest::connections::{Answer, Connections, Limits, Request};
use loadtest::recording::{histogram, micros};

use super::pgbench::figures;
use super::{DIGITS, Figures, MEASURING, WARMING};

/// Clients of one server who all send the same kind of request.
pub(super) struct Clients<'a, F> {
    /// `host:port`.
    pub(super) authority: &'a str,
    pub(super) number: usize,
    /// Makes a request.
    pub(super) request: F,
    /// The status that every answer must have.
    pub(super) status: u16,
}

impl<F: Fn() -> anyhow::Result<Request>> Clients<'_, F> {
    /// Runs them: first to warm up, then to measure.
    pub(super) async fn run(&self) -> anyhow::Result<Figures> {
        self.run_for(WARMING).await?;
        self.run_for(MEASURING).await
    }

    async fn run_for(&self, duration: Duration) -> anyhow::Result<Figures> {
        let server = connect(self.authority, self.number)?;
        let end = Instant::now() + duration;
        let clients = (0..self.number).map(|_| self.client(&server, end));
        let mut all = histogram(DIGITS);
        for of_client in try_join_all(clients).await? {
            all.add(&of_client).context("histograms of one kind")?;
        }
        figures(&all, duration)
    }

    async fn client(&self, server: &Connections, end: Instant) -> anyhow::Result<Histogram<u64>> {
        let mut latencies = histogram(DIGITS);
        while Instant::now() < end {
            let request = (self.request)()?;
            let sent_at = Instant::now();
            exchange(server, request, self.status).await?;
            latencies.saturating_record(micros(sent_at.elapsed()));
        }
        Ok(latencies)
    }
}

pub(super) fn connect(authority: &str, connections: usize) -> anyhow::Result<Connections> {
    let limits = Limits {
        connections,
        waiting: connections,
        slot_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(10),
    };
    Connections::new(authority, limits)
}

/// Sends a request and has its answer, which must have this status.
pub(super) async fn exchange(server: &Connections, request: Request, status: u16) -> anyhow::Result<Answer> {
    let what = format!("{} {}", request.method(), request.uri().path());
    let answer = server.send(request, Instant::now()).await;
    let answer = answer.map_err(|failure| anyhow::anyhow!("{what}: {}", failure.label()))?;
    ensure!(answer.status == status, "{what} answers {}", answer.status);
    Ok(answer)
}
