//! Named transactions with a bounded retry.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use deadpool_postgres::Object;
use tokio::{sync::Mutex, task::unconstrained};
use tokio_postgres::{Row, Statement, error::SqlState, types::ToSql};

use crate::{Error, Pool, metrics, patience::Patience};

/// Runs of one transaction at most, the first included.
const ATTEMPTS: u32 = 4;

/// `SET LOCAL`, with the value as a parameter. The lock timeout can stay: a statement ends while it waits for a lock, too.
const LIMIT_STATEMENTS: &str = "SELECT set_config('statement_timeout', $1, true)";

/// An open transaction.
///
/// Statements are prepared once per connection, and are literals: no SQL is built from strings.
///
/// Statements that do not need each other's results can be on their way together, as with `futures::try_join!`: the server
/// runs them one after the other, in the order in which they were first polled, and the round trip is paid once.
pub struct Tx<'a> {
    inner: deadpool_postgres::Transaction<'a>,
    /// Held until a statement is on the connection. First come, first served.
    turn: Mutex<()>,
    /// A statement failed, so the server answers COMMIT with a rollback, and without an error.
    aborted: AtomicBool,
    /// How long the server lets a statement run.
    statement_timeout: Duration,
    /// The server was given less time, because the deadline leaves less.
    limited: AtomicBool,
}

/// An error of a transaction's closure.
pub trait TxError: From<Error> {
    /// The database failure behind this error, if there is one: it decides whether the transaction is run again.
    fn database(&self) -> Option<&Error>;
}

impl TxError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

impl Tx<'_> {
    /// Returns all rows.
    pub async fn query(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.run(sql, async |statement| self.inner.query(&statement, params).await).await
    }

    /// Returns the one row.
    pub async fn query_one(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let row = self.query_opt(sql, params).await?;
        row.ok_or(Error::UnexpectedRowCount { statement: sql, expected: 1, touched: 0 })
    }

    /// Returns the one row, if it is there.
    pub async fn query_opt(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        at_most_one(sql, self.query(sql, params).await?)
    }

    /// Returns how many rows were touched.
    pub async fn execute(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.run(sql, async |statement| self.inner.execute(&statement, params).await).await
    }

    /// Sends a statement behind those that were begun before, and waits for what becomes of it.
    async fn run<T>(
        &self,
        sql: &'static str,
        send: impl AsyncFnOnce(Statement) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        // Without tokio's budget, which could have one that comes later queue first.
        let turn = unconstrained(self.turn.lock()).await;
        self.obey_deadline().await?;
        let outcome = async {
            let statement = self.inner.prepare_cached(sql).await?;
            let mut sent = pin!(send(statement));
            // The first poll puts it on the connection.
            let first = futures::poll!(sent.as_mut());
            drop(turn);
            match first {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => sent.await,
            }
        };
        self.noting_failure(outcome.await)
    }

    /// Makes the server end the next statement at the deadline, when that is earlier than it would by itself.
    ///
    /// Whoever drops the future at the deadline does not stop the server: without this it would go on holding its locks,
    /// and the connection would go back to the pool with a statement still running.
    async fn obey_deadline(&self) -> Result<(), Error> {
        let patience = Patience::at_most(self.statement_timeout);
        if !patience.ends_with_deadline {
            return Ok(());
        }
        let limit_ms = patience.limit.as_millis();
        if limit_ms == 0 {
            // To the server, zero would mean no limit.
            return Err(patience.exceeded("no time is left for the next statement"));
        }
        let set = async {
            let statement = self.inner.prepare_cached(LIMIT_STATEMENTS).await?;
            self.inner.query(&statement, &[&limit_ms.to_string()]).await
        };
        self.noting_failure(set.await)?;
        self.limited.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn noting_failure<T>(&self, result: Result<T, tokio_postgres::Error>) -> Result<T, Error> {
        self.aborted.fetch_or(result.is_err(), Ordering::Relaxed);
        result.map_err(|error| {
            if self.limited.load(Ordering::Relaxed) && error.code() == Some(&SqlState::QUERY_CANCELED) {
                Error::DeadlineExceeded(Box::new(error))
            } else {
                error.into()
            }
        })
    }

    /// Executes a statement that must touch exactly `expected` rows.
    pub async fn execute_exactly(
        &self,
        expected: u64,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Error> {
        match self.execute(sql, params).await? {
            touched if touched == expected => Ok(()),
            touched => Err(Error::UnexpectedRowCount { statement: sql, expected, touched }),
        }
    }
}

/// The row of a statement that returns one or none.
pub(crate) fn at_most_one(statement: &'static str, mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        many => Err(Error::UnexpectedRowCount { statement, expected: 1, touched: many as u64 }),
    }
}

/// What the closure of a transaction returns: its future, boxed.
pub type TxFuture<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// Runs `work` in one READ COMMITTED transaction and commits it when it returns `Ok`.
///
/// `name` labels the metrics. A serialization failure or deadlock runs the transaction again, a few times, after a
/// jittered pause; nothing else is retried here. A [deadline](deadline::scope()) around the call bounds all of it: the wait
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
    let started = Instant::now();
    let mut attempt = 1;
    loop {
        let result = attempt_tx(pool, context, &work).await;
        let failure = result.as_ref().err().and_then(TxError::database);
        if matches!(failure, Some(Error::Conflict(_))) && attempt < ATTEMPTS {
            let pause = pause_before(attempt);
            if deadline::remaining().is_some_and(|remaining| remaining <= pause) {
                metrics::observe_tx(name, "deadline_exceeded", started);
                return Err(
                    Error::DeadlineExceeded("no time is left to run the transaction again".into()).into()
                );
            }
            metrics::TX_RETRIES.with_label_values(&[name]).inc();
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

async fn attempt_tx<C, T, E, F>(pool: &Pool, context: &C, work: &F) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    let mut connection = pool.get().await?;
    let committing = AtomicBool::new(false);
    let running = in_tx(&mut connection, pool.statement_timeout(), context, work, &committing);
    let patience = Patience::at_most(pool.transaction_timeout());
    let timed_out = match tokio::time::timeout(patience.limit, running).await {
        Ok(result) => return result,
        Err(timed_out) => timed_out,
    };
    // Nobody knows what state this connection is in: it leaves the pool and is closed.
    drop(Object::take(connection));
    Err(if committing.into_inner() {
        Error::CommitUnknown(Box::new(timed_out)).into()
    } else {
        patience.exceeded(timed_out).into()
    })
}

#[expect(clippy::disallowed_methods, reason = "this is the one transaction entry")]
async fn in_tx<C, T, E, F>(
    connection: &mut Object,
    statement_timeout: Duration,
    context: &C,
    work: &F,
    committing: &AtomicBool,
) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    let inner = connection.transaction().await.map_err(Error::from)?;
    let tx = Tx {
        inner,
        turn: Mutex::new(()),
        aborted: AtomicBool::new(false),
        statement_timeout,
        limited: AtomicBool::new(false),
    };
    let value = work(&tx, context).await?;
    if tx.aborted.load(Ordering::Relaxed) {
        return Err(Error::Refused("a statement failed, so its transaction cannot commit".into()).into());
    }
    committing.store(true, Ordering::Relaxed);
    tx.inner.commit().await.map_err(Error::from_commit)?;
    Ok(value)
}

/// Full jitter below an exponential bound: 20, 40, 80 ms.
fn pause_before(attempt: u32) -> Duration {
    let bound_ms = 20_u64 << (attempt - 1);
    Duration::from_millis(rand::random_range(1..=bound_ms))
}
