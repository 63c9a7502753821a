//! How a service reaches its database, and how long it waits for anything there.

use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

/// Who brings the schema of a service up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Migrations {
    /// The service itself, before it serves: for a laptop, where nothing runs before it.
    #[default]
    Apply,
    /// Somebody else, such as a job of the cluster; the service waits for that, and changes nothing.
    Await,
}

/// Database settings of a service.
///
/// The timeouts nest: a statement ends before its transaction does, and a lock before its statement.
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(about = None, long_about = None)]
#[expect(clippy::struct_field_names, reason = "a field's name is the name of its environment variable")]
pub struct Config {
    /// Connection URL, `postgres://role:password@host:port/database`. `?sslmode=require` or `verify-full` encrypts and verifies
    /// the server, which is the default to any other machine than this; `disable` does neither.
    #[arg(long, env, hide_env_values = true)]
    pub database_url: SecretString,

    /// Connections at most. More than about twice the server's cores only moves the queue into the server.
    #[arg(long, env, default_value_t = 10)]
    pub database_pool_size: usize,

    /// How long to wait for a free connection, or for a new one, in milliseconds.
    #[arg(long, env, default_value_t = 1_000)]
    pub database_acquire_timeout_ms: u64,

    /// How long one statement may wait for a lock, in milliseconds. Longer than the server's `deadlock_timeout` (1 s by
    /// default), or deadlocks come out as lock timeouts and are not retried.
    #[arg(long, env, default_value_t = 1_500)]
    pub database_lock_timeout_ms: u64,

    /// How long one statement may run, in milliseconds.
    #[arg(long, env, default_value_t = 2_000)]
    pub database_statement_timeout_ms: u64,

    /// How long a whole transaction may take as seen from here, retries excluded, in milliseconds.
    ///
    /// This is what ends the wait for a server that went silent without closing its connections.
    #[arg(long, env, default_value_t = 3_000)]
    pub database_transaction_timeout_ms: u64,

    /// Who brings the schema up to date: the service at its start, or a job that it waits for.
    #[arg(long, env, value_enum, default_value_t)]
    pub database_migrations: Migrations,
}

impl Config {
    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.database_acquire_timeout_ms)
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.database_statement_timeout_ms)
    }

    pub(crate) fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.database_transaction_timeout_ms)
    }

    /// The `options` that make the server enforce these timeouts on every connection.
    ///
    /// The server also looks for clients that vanished without closing their connection, for half a minute instead of
    /// its two hours: until then it would keep the locks of their sessions.
    pub(crate) fn server_options(&self) -> String {
        format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} \
             -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4",
            self.database_statement_timeout_ms,
            self.database_lock_timeout_ms,
            self.database_transaction_timeout_ms,
        )
    }
}
