//! Connection pool with bounded waits.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    ClientWrapper, ConfigConnectImpl, Connect, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use scopeguard::ScopeGuard;
use secrecy::ExposeSecret as _;
use tls::Trust;
use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};
use tokio_postgres::{AsyncMessage, Client};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::context::TokioContext;

use crate::{
    Config, Error, Migrations, config::parse_url, deadline::TimeoutBudget, error::source, pool_gauge,
};

/// A pool of connections to one database. Clones share it.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    server: tokio_postgres::Config,
    on_runtime: OnRuntime,
    acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) transaction_timeout: Duration,
    pub(crate) migrations: Migrations,
    migrated: Arc<AtomicBool>,
}

/// Makes a pool without connecting yet; [`migrate`](crate::migrate()) opens it for use.
///
/// `trust` has the certificate authorities for the server; `application_name` is the name in `pg_stat_activity`. Connections
/// belong to the runtime that calls this function.
///
/// # Errors
/// The connection URL is invalid.
pub fn connect(config: &Config, trust: &Trust, application_name: &str) -> Result<Pool, Error> {
    let acquire_timeout = Duration::from_millis(config.database_acquire_timeout_ms);
    let transaction_timeout = Duration::from_millis(config.database_transaction_timeout_ms);
    let mut server =
        parse_url(config.database_url.expose_secret()).map_err(|error| Error::Settings(source(error)))?;
    server
        .application_name(application_name)
        .options(config.server_options())
        .connect_timeout(acquire_timeout)
        .tcp_user_timeout(transaction_timeout)
        // The user timeout covers sent data; keepalives detect a lost server while we wait for its answer.
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(4);
    let on_runtime =
        OnRuntime { runtime: Handle::current(), tls: MakeRustlsConnect::new(trust.client_config()) };
    let manager = deadpool_postgres::Manager::from_connect(
        server.clone(),
        on_runtime.clone(),
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let inner = deadpool_postgres::Pool::builder(manager)
        .max_size(config.database_pool_size)
        .timeouts(timeouts(acquire_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a runtime is set, which is all that the builder checks");
    let observed = inner.weak();
    pool_gauge::observe(move || observed.upgrade().map(|pool| pool.status()));
    Ok(Pool {
        inner,
        server,
        on_runtime,
        acquire_timeout,
        statement_timeout: Duration::from_millis(config.database_statement_timeout_ms),
        transaction_timeout,
        migrations: config.database_migrations,
        migrated: Arc::default(),
    })
}

/// The same limit for each step to a connection.
fn timeouts(limit: Duration) -> Timeouts {
    Timeouts { wait: Some(limit), create: Some(limit), recycle: Some(limit) }
}

impl Pool {
    /// Readiness check: one trivial query. Succeeds without a query when all connections are in use; fails when the pool has
    /// no connection.
    pub async fn ping(&self) -> Result<(), Error> {
        self.require_migrated()?;
        let client = match self.inner.get().await {
            Err(PoolError::Timeout(TimeoutType::Wait)) if self.inner.status().size > 0 => return Ok(()),
            client => client?,
        };
        // After a timeout, the connection of the unanswered query is closed.
        let connection = closed_on_drop(client);
        let query = tokio::time::timeout(self.transaction_timeout, connection.simple_query("SELECT 1")).await;
        let answered = query.map_err(|elapsed| Error::Unavailable(source(elapsed)))?;
        release(connection);
        answered?;
        Ok(())
    }

    /// Closes the pool: waiting callers fail, and each connection closes when it is released.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Opens a connection beside the pool: for session-level locks, which must end with their owner, and for LISTEN. `notified`
    /// is notified of each notification that the server sends.
    pub async fn dedicated(&self, notified: Arc<Notify>) -> Result<ClientWrapper, Error> {
        self.require_migrated()?;
        let budget = TimeoutBudget::at_most(self.acquire_timeout);
        let connecting = self.on_runtime.connect_listening(&self.server, notified);
        match tokio::time::timeout(budget.limit, connecting).await {
            Ok(connected) => Ok(connected.map_err(PoolError::Backend)?),
            Err(elapsed) => Err(budget.exceeded(elapsed)),
        }
    }

    pub(crate) async fn get(&self) -> Result<Object, Error> {
        self.require_migrated()?;
        let budget = TimeoutBudget::at_most(self.acquire_timeout);
        let object = self.inner.timeout_get(&timeouts(budget.limit)).await;
        object.map_err(|error| match error {
            PoolError::Timeout(_) => budget.exceeded(error),
            other => other.into(),
        })
    }

    /// Drops all prepared statements and closes idle connections, because a session caches the plans of its functions. A
    /// connection in use finds stale statements by itself.
    pub(crate) fn forget_plans(&self) {
        self.inner.manager().statement_caches.clear();
        self.inner.retain(|_, _| false);
    }

    fn require_migrated(&self) -> Result<(), Error> {
        if self.migrated.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::Unavailable(source("the schema is not up to date yet")))
    }

    /// Takes a connection for migrations, which run before the pool is open.
    pub(crate) async fn unchecked(&self) -> Result<ClientWrapper, Error> {
        Ok(Object::take(self.inner.get().await?))
    }

    pub(crate) fn open(&self) {
        self.migrated.store(true, Ordering::Release);
    }
}

/// A connection in use. Dropping it closes it, because statements or a transaction may still run on it; [`release`] returns it to
/// the pool.
pub(crate) type Connection = ScopeGuard<Object, fn(Object)>;

pub(crate) fn closed_on_drop(object: Object) -> Connection {
    scopeguard::guard(object, |object| drop(Object::take(object)))
}

/// Returns a connection to the pool; call this when no statement runs and no transaction is open.
pub(crate) fn release(connection: Connection) {
    drop(ScopeGuard::into_inner(connection));
}

/// Opens connections in one runtime, independent of the calling thread.
///
/// A connection lives in the runtime that opened it. An HTTP server has one runtime per thread, which ends when the server
/// stops and would close connections that workers still need to drain.
#[derive(Clone)]
struct OnRuntime {
    runtime: Handle,
    tls: MakeRustlsConnect,
}

impl OnRuntime {
    async fn connect_listening(
        &self,
        server: &tokio_postgres::Config,
        notified: Arc<Notify>,
    ) -> Result<ClientWrapper, tokio_postgres::Error> {
        let connecting = TokioContext::new(server.connect(self.tls.clone()), self.runtime.clone());
        let (client, mut connection) = connecting.await?;
        let driver = self.runtime.spawn(async move {
            // It ends with the client or with an error, which the client's next statement returns too.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if matches!(message, AsyncMessage::Notification(_)) {
                    notified.notify_one();
                }
            }
        });
        Ok(ClientWrapper::new(client, driver))
    }
}

impl Connect for OnRuntime {
    fn connect(
        &self,
        config: &tokio_postgres::Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>>
    {
        let (config, runtime, tls) = (config.clone(), self.runtime.clone(), self.tls.clone());
        let connecting = async move { ConfigConnectImpl { tls }.connect(&config).await };
        Box::pin(TokioContext::new(connecting, runtime))
    }
}
