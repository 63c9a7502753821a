//! The limit of open files: raised at start, and shared between clients and the rest of the process.
//!
//! A process without free file descriptors accepts no connection on any port. Its liveness probe then fails, and idle clients cause a restart
//! of a healthy service.

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors for everything except clients: the admin port, event loops, pools, Kafka, logs.
const RESERVE: u64 = 256;

/// File descriptors of one client: the connection, and the handle that closes it when it is idle.
const PER_CONNECTION: u64 = 2;

/// The most connections per thread; further ones wait in the backlog.
const MAX_PER_WORKER: u64 = 4_096;

/// The lowest accepted hard limit, which leaves 384 connections.
const MINIMUM: u64 = 1_024;

/// Raises the soft limit as far as useful, and returns the number of connections for each of `workers` threads.
///
/// # Errors
/// The hard limit is too low; the supervisor of the process must raise it.
pub(crate) fn connections_per_worker(workers: usize) -> anyhow::Result<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let workers = workers.max(1) as u64;
    let useful = RESERVE + PER_CONNECTION * MAX_PER_WORKER * workers;
    // No limit counts as one that is never reached.
    let (current, hard) = (current.unwrap_or(useful), maximum.unwrap_or(u64::MAX));
    ensure!(
        hard >= MINIMUM,
        "this process may open {hard} files and needs {MINIMUM}; raise the hard limit in its supervisor (`ulimit -Hn`, \
         LimitNOFILE of systemd, or the container runtime's default)"
    );
    let limit = current.max(useful.min(hard));
    if limit > current {
        setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum })
            .with_context(|| format!("the limit of open files cannot be raised from {current} to {limit}"))?;
    }
    let connections = (limit - RESERVE) / PER_CONNECTION / workers;
    let connections = connections.clamp(1, MAX_PER_WORKER);
    tracing::debug!(open_files = limit, connections_per_worker = connections, "open files are limited");
    Ok(usize::try_from(connections)?)
}
