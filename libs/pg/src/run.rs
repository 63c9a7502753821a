//! Runs a transaction: connection, limits, COMMIT, and another attempt where that is safe.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{Error, Pool, Tx, TxError, TxFuture, in_use::InUse, metrics, patience::Patience};

/// Runs of one transaction at most, the first included.
const ATTEMPTS: u32 = 4;

/// How long a failed transaction waits for its end. Statements that were given up come before that, and most of them were
/// refused; for one that goes on, it is cheaper to close the connection than to wait.
const ROLLBACK_TIMEOUT: Duration = Duration::from_millis(250);

/// Runs `work` in one READ COMMITTED transaction and commits it when it returns `Ok`.
///
/// `name` labels the metrics. A serialization failure or deadlock runs the transaction again, a few times, after a
/// jittered pause, and so do, at once, prepared statements that the server has forgotten or that a changed schema put out of
/// date; nothing else is retried here. A [deadline](deadline::scope()) around the call bounds all of it: the wait
/// for a connection, each statement on the server, and whether there is another attempt.
///
/// What the closure needs comes through `context` instead of being captured: only so can the compiler prove, for every
/// lifetime at once, that the returned future may move between threads (rust-lang/rust#110338).
pub async fn run_tx<C, T, E, F>(pool: &Pool, name: &'static str, context: &C, work: F) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    retried(pool, name, || attempt_tx(pool, context, &work)).await
}

/// Makes attempts, each a transaction, until one is not to be followed by another, and observes them together under `name`.
pub(crate) async fn retried<T, E, F>(
    pool: &Pool,
    name: &'static str,
    attempt_once: impl Fn() -> F,
) -> Result<T, E>
where
    E: TxError,
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let mut attempt = 1;
    loop {
        let result = attempt_once().await;
        let failure = result.as_ref().err().and_then(TxError::database);
        if let Some(pause) = pause_before_next(failure, attempt) {
            if deadline::remaining().is_some_and(|remaining| remaining <= pause) {
                metrics::observe_tx(name, "deadline_exceeded", started);
                return Err(Error::DeadlineExceeded("no time is left for another attempt".into()).into());
            }
            prepare_next(pool, name, failure);
            tokio::time::sleep(pause).await;
            attempt += 1;
            continue;
        }
        let outcome = match (&result, failure) {
            (Ok(_), _) => "committed",
            (Err(_), Some(error)) => error.label(),
            (Err(_), None) => "rolled_back",
        };
        metrics::observe_tx(name, outcome, started);
        return result;
    }
}

/// Returns how long to wait before another attempt; `None` when there is none.
fn pause_before_next(failure: Option<&Error>, attempt: u32) -> Option<Duration> {
    match failure? {
        _ if attempt >= ATTEMPTS => None,
        Error::Conflict(_) => Some(jittered_pause(attempt)),
        Error::StaleStatement(_) => Some(Duration::ZERO),
        _ => None,
    }
}

/// Counts another attempt, and sees to it that it does not meet the same out-of-date plans.
fn prepare_next(pool: &Pool, name: &'static str, failure: Option<&Error>) {
    if matches!(failure, Some(Error::StaleStatement(_))) {
        pool.forget_plans();
    }
    metrics::TX_RETRIES.with_label_values(&[name]).inc();
}

/// How far an attempt has got: what its connection is good for, and what a timeout means.
#[derive(Default)]
struct Progress {
    /// COMMIT may be on its way.
    committing: AtomicBool,
    /// No transaction is open any more, and the server is at rest.
    ended: AtomicBool,
}

async fn attempt_tx<C, T, E, F>(pool: &Pool, context: &C, work: &F) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    // Closed, unless the transaction is known to have ended: its future can be dropped at every await.
    let connection = InUse::new(pool.get().await?);
    let progress = Progress::default();
    let running = in_tx(&connection, pool.statement_timeout(), context, work, &progress);
    let patience = Patience::at_most(pool.transaction_timeout());
    match tokio::time::timeout(patience.limit, running).await {
        Ok(result) => {
            if progress.ended.into_inner() {
                connection.give_back();
            }
            result
        }
        Err(timed_out) if progress.committing.into_inner() => {
            Err(Error::CommitUnknown(Box::new(timed_out)).into())
        }
        Err(timed_out) => Err(patience.exceeded(timed_out).into()),
    }
}

async fn in_tx<C, T, E, F>(
    connection: &InUse,
    statement_timeout: Duration,
    context: &C,
    work: &F,
    progress: &Progress,
) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    let tx = Tx::begin(connection, statement_timeout).await;
    let result = match work(&tx, context).await {
        Ok(value) => tx.require_success().await.map(|()| value).map_err(E::from),
        Err(error) => Err(error),
    };
    let value = match result {
        Ok(value) => value,
        Err(error) => {
            let rolled_back = tokio::time::timeout(ROLLBACK_TIMEOUT, tx.rollback()).await;
            progress.ended.store(matches!(rolled_back, Ok(Ok(()))), Ordering::Relaxed);
            return Err(error);
        }
    };
    progress.committing.store(true, Ordering::Relaxed);
    let committed = tx.commit().await;
    progress.ended.store(!matches!(committed, Err(Error::CommitUnknown(_))), Ordering::Relaxed);
    committed?;
    Ok(value)
}

/// Full jitter below an exponential bound: 20, 40, 80 ms.
fn jittered_pause(attempt: u32) -> Duration {
    let bound_ms = 20_u64 << (attempt - 1);
    Duration::from_millis(rand::random_range(1..=bound_ms))
}
