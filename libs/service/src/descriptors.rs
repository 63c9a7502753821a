//! The limit of open files: raised at start, and divided so that clients cannot use up what the admin port and the connections to
//! dependencies need.
//!
//! A process that can open no more files accepts no connection on any port, so its liveness probe fails, and a healthy service is
//! killed because clients are idle.

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for everything but clients: the admin port, event loops, pools, Kafka's connections, logs.
const RESERVE: u64 = 256;

/// Descriptors of one client: the connection, and the handle with which it is ended when it is quiet for too long.
const PER_CONNECTION: u64 = 2;

/// Connections per thread at most; further ones wait in the backlog.
const MAX_PER_WORKER: u64 = 4_096;

/// The lowest hard limit to work with. It leaves 384 connections.
const MINIMUM: u64 = 1_024;

/// Raises the soft limit as far as it is of use, and returns how many connections each of `workers` threads may have open.
///
/// # Errors
/// The hard limit is too low. It is for whatever starts the process to raise.
pub(crate) fn connections_per_worker(workers: usize) -> anyhow::Result<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let workers = workers.max(1) as u64;
    let useful = RESERVE + PER_CONNECTION * MAX_PER_WORKER * workers;
    // No limit at all is as good as one that is never reached.
    let (current, hard) = (current.unwrap_or(useful), maximum.unwrap_or(u64::MAX));
    ensure!(
        hard >= MINIMUM,
        "this process may open {hard} files and needs {MINIMUM}; raise the hard limit in whatever starts it (`ulimit -Hn`, \
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
