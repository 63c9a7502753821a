//! A closed loop over HTTP, like that of pgbench: each client sends its next request after the answer to the last one.

use std::time::Instant;

use anyhow::ensure;

use super::{Figures, MEASURED, WARM_UP};
use crate::{
    connections::{Answer, Connections, Failure, Limits, Request},
    engine::{Judgement, Outgoing, Workload, run_closed_loop},
    recording::Outcome,
};

/// Requests of one kind.
#[derive(Clone)]
struct Requests<F> {
    make: F,
    status: u16,
}

impl<F: Fn() -> Request + Send + 'static> Workload for Requests<F> {
    type Ticket = ();

    fn next(&mut self, _: Instant, _: bool) -> Outgoing<()> {
        Outgoing { operation: 0, server: 0, request: (self.make)(), ticket: () }
    }

    fn judge(&mut self, (): &(), answer: &Result<Answer, Failure>, _: u32) -> Judgement {
        let outcome = match answer {
            Ok(answer) if answer.status == self.status => Outcome::Expected,
            Ok(answer) => Outcome::Failed(format!("HTTP {}", answer.status.as_u16())),
            Err(failure) => Outcome::from(*failure),
        };
        Judgement { outcome, retry_after: None }
    }
}

/// Runs `n_clients`, first as a warm-up and then to measure. Every answer must have this status. `url` is `http://host:port`.
pub(super) async fn measure(
    url: &str,
    n_clients: usize,
    status: u16,
    make: impl Fn() -> Request + Clone + Send + 'static,
) -> anyhow::Result<Figures> {
    let requests = Requests { make, status };
    let mut figures = None;
    for duration in [WARM_UP, MEASURED] {
        let server = Connections::new(url, Limits { connections: n_clients, ..Limits::FEW })?;
        let end = Instant::now() + duration;
        let (recording, _) =
            run_closed_loop(n_clients, || Instant::now() < end, vec![server], requests.clone()).await;
        let total = recording.total();
        ensure!(total.n_errors() == 0, "requests failed: {:?}", total.errors);
        figures = Some(Figures::of(&total.latency, duration)?);
    }
    Ok(figures.expect("the loop above ran"))
}
