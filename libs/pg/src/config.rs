//! Database settings: connection URL with `sslmode`, pool size and timeouts.
//!
//! The `sslmode` words are those of libpq. libpq's `require` encrypts without verifying the server
//! (<https://www.postgresql.org/docs/15/libpq-ssl.html>); here every encrypted connection is verified.

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use thiserror::Error;
use tokio_postgres::config::{Host, SslMode};

/// Which process migrates the schema of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Migrations {
    /// The service itself, before it serves: for a local stack.
    #[default]
    Apply,
    /// Another process, such as a job of the cluster; the service waits for it and changes nothing.
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

    /// How long a whole transaction may take for the client, retries excluded, in milliseconds.
    ///
    /// Ends the wait for a server that stops answering without closing its connections.
    #[arg(long, env, default_value_t = 3_000)]
    pub database_transaction_timeout_ms: u64,

    /// Which process migrates the schema: the service at its start, or a job that it waits for.
    #[arg(long, env, value_enum, default_value_t)]
    pub database_migrations: Migrations,
}

impl Config {
    /// The `options` that make the server enforce these timeouts on every connection.
    ///
    /// The server also detects a client that disappears without closing its connection after 30 s instead of two hours; until
    /// then it keeps the locks of the session.
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

/// The error of an invalid `DATABASE_URL`. Never contains the URL, which holds a password.
#[derive(Debug, Error)]
pub(crate) enum InvalidUrl {
    #[error("DATABASE_URL is not a URL; write it as postgres://role:password@host:port/database")]
    NotAUrl,
    #[error(
        "DATABASE_URL has an sslmode that is not supported; write require or verify-full (both encrypt and verify), disable \
         (neither), or prefer (like require where the server offers TLS, else like disable)"
    )]
    UnknownMode,
    #[error("DATABASE_URL cannot be used")]
    Malformed(#[source] tokio_postgres::Error),
}

/// Reads the connection URL. Without `sslmode` it is `require`, and `disable` when the server is on this machine.
pub(crate) fn parse_url(url: &str) -> Result<tokio_postgres::Config, InvalidUrl> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(InvalidUrl::NotAUrl);
    }
    let (url, mode) = take_mode(url)?;
    let mut config = url.parse::<tokio_postgres::Config>().map_err(InvalidUrl::Malformed)?;
    let mode = mode.unwrap_or_else(|| {
        if config.get_hosts().iter().all(is_local) { SslMode::Disable } else { SslMode::Require }
    });
    config.ssl_mode(mode);
    Ok(config)
}

/// Takes `sslmode` out of the URL, because tokio-postgres knows fewer words.
fn take_mode(url: &str) -> Result<(String, Option<SslMode>), InvalidUrl> {
    // A question mark before the first `@` belongs to the password.
    let after_password = url.find('@').unwrap_or(0);
    let Some(query_at) = url.get(after_password..).and_then(|rest| rest.find('?')) else {
        return Ok((url.to_owned(), None));
    };
    let (base, query) = url.split_at(after_password + query_at);
    let mut mode = None;
    let mut kept = Vec::new();
    for parameter in query.trim_start_matches('?').split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.strip_prefix("sslmode=") {
            Some(word) => mode = Some(read_mode(word)?),
            None => kept.push(parameter),
        }
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((url, mode))
}

fn read_mode(word: &str) -> Result<SslMode, InvalidUrl> {
    match word {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-full" => Ok(SslMode::Require),
        _ => Err(InvalidUrl::UnknownMode),
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => tls::is_loopback(name),
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn mode(url: &str) -> SslMode {
        parse_url(url).unwrap().get_ssl_mode()
    }

    #[test]
    fn without_sslmode_only_a_local_server_is_reached_in_plaintext() {
        for here in ["127.0.0.1:5432", "localhost", "[::1]:5432", "%2Frun%2Fpostgresql"] {
            assert_eq!(mode(&format!("postgres://r:p@{here}/d")), SslMode::Disable, "{here}");
        }
        for elsewhere in ["postgres-rw.muster-data:5432", "10.0.0.7", "127.0.0.1,db.example.com"] {
            assert_eq!(mode(&format!("postgres://r:p@{elsewhere}/d")), SslMode::Require, "{elsewhere}");
        }
    }

    #[test]
    fn sslmode_selects_the_mode_and_other_parameters_stay() {
        let config =
            parse_url("postgresql://r:p?w@db/d?connect_timeout=3&sslmode=disable&application_name=a")
                .unwrap();
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(config.get_password(), Some(b"p?w".as_slice()));
        assert_eq!(config.get_application_name(), Some("a"));
        assert_eq!(config.get_connect_timeout().map(Duration::as_secs), Some(3));
        for (word, expected) in [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            assert_eq!(mode(&format!("postgres://r:p@127.0.0.1/d?sslmode={word}")), expected, "{word}");
        }
    }

    #[test]
    fn an_unsupported_url_is_refused_and_its_error_has_no_password() {
        for word in ["", "allow", "verify-ca", "REQUIRE", "on"] {
            let error = parse_url(&format!("postgres://r:secret@db/d?sslmode={word}")).unwrap_err();
            assert!(matches!(error, InvalidUrl::UnknownMode), "{word}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(matches!(parse_url("host=db user=r password=secret"), Err(InvalidUrl::NotAUrl)));
    }
}
