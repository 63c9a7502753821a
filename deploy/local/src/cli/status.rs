//! `muster status`: state, pid, address, time to ready and memory of each part.

use std::process::ExitCode;

use futures::future::join_all;
use tokio::time::{Duration, timeout};

use super::read;
use crate::{
    config::StackConfig,
    console::{print, seconds},
    parts::Part,
    place::Place,
    process::RunState,
    state::Record,
};

const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

const READY: &str = "ready";
const NOT_READY: &str = "not ready";

struct Row {
    name: &'static str,
    state: &'static str,
    pid: Option<u32>,
    address: String,
    ready_after: Option<Duration>,
    memory_mib: Option<u64>,
}

/// Succeeds when every part is ready.
pub(super) async fn run(place: Place) -> anyhow::Result<ExitCode> {
    let Some((stack, record)) = read(place)? else {
        print("This checkout has no stack; `muster up` starts it.");
        return Ok(ExitCode::FAILURE);
    };
    let rows = join_all(stack.parts.iter().map(|part| inspect(part, &stack.config, &record))).await;
    print("PART             STATE      PID      READY IN  MEMORY     ADDRESS");
    for row in &rows {
        print(row.line());
    }
    print(totals(&rows, &record));
    for row in rows.iter().filter(|row| row.state == NOT_READY) {
        if let Some((pid, state)) = row.pid.and_then(|pid| Some((pid, RunState::of(pid)?))) {
            let (name, remedy) = (row.name, state.remedy(row.name, pid));
            print(format_args!("{name} (pid {pid}) is not ready, {state}. {remedy}"));
        }
    }
    let all_ready = rows.iter().all(|row| row.state == READY);
    Ok(if all_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn inspect(part: &Part, config: &StackConfig, record: &Record) -> Row {
    let known = record.parts.get(part.name);
    let pid = record.alive(part.name).map(|identity| identity.pid);
    let answers = pid.is_some() && matches!(timeout(PROBE_TIMEOUT, part.probe(config)).await, Ok(Ok(())));
    Row {
        name: part.name,
        state: match (known, pid) {
            (None, _) => "stopped",
            // Without a stop by `muster`.
            (Some(_), None) => "ended",
            (Some(_), Some(_)) if answers => READY,
            (Some(_), Some(_)) => NOT_READY,
        },
        pid,
        address: (part.address)(config.ports),
        ready_after: known.and_then(|known| known.ready_after),
        memory_mib: pid.and_then(part.memory_mib),
    }
}

impl Row {
    fn line(&self) -> String {
        let pid = or_dash(self.pid, |pid| pid.to_string());
        let ready_after = or_dash(self.ready_after, seconds);
        let memory = or_dash(self.memory_mib, |mib| format!("{mib} MiB"));
        let Self { name, state, address, .. } = self;
        format!("{name:<15}  {state:<9}  {pid:<7}  {ready_after:<8}  {memory:<9}  {address}")
    }
}

fn totals(rows: &[Row], record: &Record) -> String {
    let ready = rows.iter().filter(|row| row.state == READY).count();
    let memory: u64 = rows.iter().filter_map(|row| row.memory_mib).sum();
    let whole = or_dash(record.ready_after, seconds);
    format!(
        "{ready} of {} ready; the whole stack was ready in {whole} and holds {memory} MiB \
         (resident set; for postgres the proportional set of all its processes)",
        rows.len()
    )
}

fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}
