//! A closed loop over HTTP, like that of pgbench: each client sends its next request after the answer to the last one.

use std::{sync::Mutex, time::Instant};

use futures::future::try_join_all;

use super::{Figures, MEASURED, WARM_UP};
use crate::{
    connections::{Connections, Limits, Request},
    recording::{DIGITS, histogram, micros},
};

/// Runs `n_clients`, first as a warm-up and then to measure. Every answer must have this status. `url` is `http://host:port`.
pub(super) async fn measure(
    url: &str,
    n_clients: usize,
    status: u16,
    make: impl Fn() -> Request,
) -> anyhow::Result<Figures> {
    let mut latency = histogram(DIGITS);
    for duration in [WARM_UP, MEASURED] {
        let server = Connections::new(url, Limits { connections: n_clients, ..Limits::FEW })?;
        let end = Instant::now() + duration;
        let measured = Mutex::new(histogram(DIGITS));
        let clients = (0..n_clients).map(async |_| {
            while Instant::now() < end {
                let begun = Instant::now();
                server.send(make(), begun).await?.expect(status)?;
                let mut measured = measured.lock().expect("no panic while locked");
                measured.saturating_record(micros(begun.elapsed()));
            }
            anyhow::Ok(())
        });
        try_join_all(clients).await?;
        latency = measured.into_inner().expect("no panic while locked");
    }
    Figures::of(&latency, MEASURED)
}
