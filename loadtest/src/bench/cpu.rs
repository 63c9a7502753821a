//! Processor time per event. It shows where the time goes, also on a machine with other work, where a rate says little.

use std::{array, fmt::Write as _, time::Duration};

use anyhow::Context;
use procfs::{
    ProcResult,
    process::{Process, Stat},
    ticks_per_second,
};

/// The processes of a measurement.
pub(super) struct Processes {
    /// The program that publishes, with librdkafka in it.
    client: Process,
    /// The server's end of the database session that reads the events, if there is one.
    session: Option<Process>,
    broker: Process,
}

/// Processor time so far of the client without librdkafka, of librdkafka, the session, and the broker.
pub(super) type Times = [Duration; 4];

impl Processes {
    pub(super) fn new(client: u32, session: Option<u32>, broker: u32) -> anyhow::Result<Self> {
        let open = |pid: u32| Process::new(pid.cast_signed()).with_context(|| format!("process {pid}"));
        Ok(Self { client: open(client)?, session: session.map(open).transpose()?, broker: open(broker)? })
    }

    pub(super) fn times(&self) -> ProcResult<Times> {
        let threads = self.client.tasks()?.flatten().filter_map(|thread| thread.stat().ok());
        let librdkafka =
            threads.filter(|thread| is_of_librdkafka(&thread.comm)).map(|stat| time(&stat)).sum();
        let session = self.session.as_ref().map(Process::stat).transpose()?;
        let client = time(&self.client.stat()?).saturating_sub(librdkafka);
        Ok([client, librdkafka, session.as_ref().map(time).unwrap_or_default(), time(&self.broker.stat()?)])
    }
}

/// By the name of a thread, of which the kernel keeps fifteen bytes. The second one calls back for each acknowledgement.
fn is_of_librdkafka(thread: &str) -> bool {
    thread.starts_with("rdk:") || thread.starts_with("producer pollin")
}

fn time(stat: &Stat) -> Duration {
    Duration::from_micros((stat.utime + stat.stime) * 1_000_000 / ticks_per_second())
}

/// Microseconds per event, for each of [`Times`].
#[derive(Clone, Copy)]
pub(super) struct Cost([f64; 4]);

impl Cost {
    /// From the times before and after `n_events`.
    pub(super) fn between(before: &Times, after: &Times, n_events: u32) -> Self {
        let spent = |part: usize| after[part].saturating_sub(before[part]);
        Self(array::from_fn(|part| spent(part).as_secs_f64() * 1e6 / f64::from(n_events)))
    }
}

/// Renders costs as a table.
pub(super) fn render(costs: &[(&str, Cost)]) -> anyhow::Result<String> {
    let mut table = format!(
        "{:<26} {:>8} {:>12} {:>12} {:>8} {:>10}",
        "CPU per event, µs", "client", "librdkafka", "PostgreSQL", "broker", "together"
    );
    for (what, Cost(parts)) in costs {
        let [client, librdkafka, session, broker] = parts;
        let together: f64 = parts.iter().sum();
        write!(
            table,
            "\n{what:<26} {client:>8.1} {librdkafka:>12.1} {session:>12.1} {broker:>8.1} {together:>10.1}"
        )?;
    }
    Ok(table)
}
