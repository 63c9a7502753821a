//! The connection pool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    ClientWrapper, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime, Status, TimeoutType, Timeouts,
};
use secrecy::ExposeSecret;
use tls::Trust;
use tokio::runtime::Handle;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    Config, Error, Migrations, connect::OnRuntime, in_use::InUse, patience::Patience, pool_gauge,
    pool_gauge::Connections, ssl_mode,
};

/// A pool of connections to one database. Clones share it.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    acquire_timeout: Duration,
    statement_timeout: Duration,
    transaction_timeout: Duration,
    migrations: Migrations,
    migrated: Arc<AtomicBool>,
}

/// Makes a pool without connecting yet; [`migrate`](crate::migrate()) opens it for use.
///
/// `trust` has the authorities that may vouch for the server; `application_name` is what it shows in `pg_stat_activity`.
///
/// Called inside the runtime in which the connections are to live.
///
/// # Errors
/// The URL cannot be understood.
pub fn connect(config: &Config, trust: &Trust, application_name: &str) -> Result<Pool, Error> {
    let mut server = ssl_mode::parse(config.database_url.expose_secret())
        .map_err(|error| Error::Settings(Box::new(error)))?;
    server
        .application_name(application_name)
        .options(config.server_options())
        .connect_timeout(config.acquire_timeout())
        .tcp_user_timeout(config.transaction_timeout())
        // That one covers what we sent; these find a server that vanished while we wait for it.
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(4);
    let manager = deadpool_postgres::Manager::from_connect(
        server,
        OnRuntime { runtime: Handle::current(), tls: MakeRustlsConnect::new(trust.client_config()) },
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let inner = deadpool_postgres::Pool::builder(manager)
        .max_size(config.database_pool_size)
        .timeouts(timeouts(config.acquire_timeout()))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a runtime is set, which is all that the builder checks");
    let watched = inner.weak();
    pool_gauge::watch(move || watched.upgrade().map(|pool| connections(pool.status())));
    Ok(Pool {
        inner,
        acquire_timeout: config.acquire_timeout(),
        statement_timeout: config.statement_timeout(),
        transaction_timeout: config.transaction_timeout(),
        migrations: config.database_migrations,
        migrated: Arc::default(),
    })
}

/// One limit for each of the steps to a connection.
fn timeouts(limit: Duration) -> Timeouts {
    Timeouts { wait: Some(limit), create: Some(limit), recycle: Some(limit) }
}

fn connections(status: Status) -> Connections {
    Connections { open: status.size, idle: status.available, waiting: status.waiting, max: status.max_size }
}

impl Pool {
    /// Asks the server for a trivial answer: the readiness check. A pool whose connections are all in use is busy, not
    /// broken; one where everybody waits for a first connection is.
    pub async fn ping(&self) -> Result<(), Error> {
        self.require_migrated()?;
        let client = match self.inner.get().await {
            Err(PoolError::Timeout(TimeoutType::Wait)) if self.inner.status().size > 0 => return Ok(()),
            client => client?,
        };
        // Who gives up on a silent server does not leave its question on a connection of the pool.
        let connection = InUse::new(client);
        let asked = tokio::time::timeout(self.transaction_timeout, connection.simple_query("SELECT 1")).await;
        let answered = asked.map_err(|elapsed| Error::Unavailable(Box::new(elapsed)))?;
        connection.give_back();
        answered?;
        Ok(())
    }

    /// Closes the pool: waiting callers fail, connections end as they come back.
    pub fn close(&self) {
        self.inner.close();
    }

    /// A session of its own, never given back to the pool: for session-level locks, which must end with their owner.
    pub async fn dedicated(&self) -> Result<ClientWrapper, Error> {
        self.get().await.map(Object::take)
    }

    pub(crate) async fn get(&self) -> Result<Object, Error> {
        self.require_migrated()?;
        let patience = Patience::at_most(self.acquire_timeout);
        let object = self.inner.timeout_get(&timeouts(patience.limit)).await;
        object.map_err(|error| match error {
            PoolError::Timeout(_) => patience.exceeded(error),
            other => other.into(),
        })
    }

    /// Has every statement prepared anew, and in new sessions: a session keeps the plans of its functions for as long as it lives. One that
    /// is in use meets the change itself.
    pub(crate) fn forget_plans(&self) {
        self.inner.manager().statement_caches.clear();
        self.inner.retain(|_, _| false);
    }

    fn require_migrated(&self) -> Result<(), Error> {
        if self.migrated.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::Unavailable("the schema is not up to date yet".into()))
    }

    /// A session for migrations, which run before the pool is open.
    pub(crate) async fn unchecked(&self) -> Result<ClientWrapper, Error> {
        Ok(Object::take(self.inner.get().await?))
    }

    pub(crate) fn open(&self) {
        self.migrated.store(true, Ordering::Release);
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        self.statement_timeout
    }

    pub(crate) fn migrations(&self) -> Migrations {
        self.migrations
    }

    pub(crate) fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }
}
