//! A COMMIT whose outcome is unknown.

use std::time::Duration;

use pg::{Error, Pool, Tx, TxError, TxFuture};

/// Further runs at most. What cut one connection has cut others, and each run may find one of those in the pool.
const RUNS: u32 = 6;

/// Runs a transaction that finds out by itself whether it has happened already, as [`pg::run_tx`] does. If its COMMIT got
/// lost it is run again, until the database answers or the runs are used up.
pub(super) async fn run_settled<C, T, E, F>(
    pool: &Pool,
    name: &'static str,
    context: &C,
    work: F,
) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    let mut result = pg::run_tx(pool, name, context, &work).await;
    if !matches!(failure(&result), Some(Error::CommitUnknown(_))) {
        return result;
    }
    tracing::warn!(transaction = name, "the outcome of a COMMIT is unknown; the key is asked");
    for run in 0..RUNS {
        tokio::time::sleep(pause_before(run)).await;
        result = pg::run_tx(pool, name, context, &work).await;
        if !matches!(failure(&result), Some(Error::CommitUnknown(_) | Error::Unavailable(_))) {
            break;
        }
    }
    result
}

fn failure<T, E: TxError>(result: &Result<T, E>) -> Option<&Error> {
    result.as_ref().err().and_then(TxError::database)
}

/// Full jitter below an exponential bound: 10, 20, 40 ms and so on, less than a second in all.
fn pause_before(run: u32) -> Duration {
    Duration::from_millis(rand::random_range(1..=10_u64 << run))
}
