//! The database session of a relay. Its lock shows the other relays that it is alive.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_postgres::ClientWrapper;
use pg::{Columns as _, Error, Pool, Row, types::ToSql};
use tokio::sync::Notify;

/// Shared by the relays of this release; the previous release takes it exclusively, so the two never publish together.
/// "OUTBOX" on a telephone keypad.
pub(crate) const LOCK: i64 = 688_269;

/// Time limit of each statement.
const TIMEOUT: Duration = Duration::from_secs(3);

const TRY_LOCK: &str = "SELECT pg_try_advisory_lock_shared($1)";

/// The plans must not depend on statistics, which a new partition lacks: every read is by the primary key. What is disabled has a
/// high cost, which would start the JIT compiler.
///
/// A crash of the server may lose the last writes of this session, in their order: a lost position repeats publications.
const SETTINGS: &str = "\
SET synchronous_commit = off; SET plan_cache_mode = force_generic_plan;
SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
LISTEN outbox";

const NOTIFY: &str = "SELECT pg_notify('outbox', '')";

/// A session with the settings of a relay.
pub(crate) struct Session {
    client: ClientWrapper,
    /// The start of the last renewal of the leases.
    pub(crate) renewed: Instant,
}

impl Session {
    /// Opens a session; `notified` is notified when another relay calls [`notify`](Self::notify).
    pub(crate) async fn open(pool: &Pool, notified: Arc<Notify>) -> Result<Self, Error> {
        let client = pool.dedicated(notified).await?;
        bounded(client.batch_execute(SETTINGS)).await?;
        Ok(Self { client, renewed: Instant::now() })
    }

    /// Takes the shared lock; `false` while a relay of the previous release is active.
    pub(crate) async fn try_lock(&self) -> Result<bool, Error> {
        bounded(self.client.query_one(TRY_LOCK, &[&LOCK])).await?.column(0)
    }

    /// Tells the other relays that there may be rows or free buckets.
    pub(crate) async fn notify(&self) -> Result<(), Error> {
        self.execute(NOTIFY, &[]).await.map(drop)
    }

    pub(crate) async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = bounded(self.client.prepare_cached(sql)).await?;
        bounded(self.client.query(&statement, params)).await
    }

    pub(crate) async fn execute(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let statement = bounded(self.client.prepare_cached(sql)).await?;
        bounded(self.client.execute(&statement, params)).await
    }
}

async fn bounded<T, E: Into<Error>>(call: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => result.map_err(Into::into),
        Err(elapsed) => Err(Error::Unavailable(Arc::new(elapsed))),
    }
}
