//! Settings of the ledger: each is a flag and an environment variable. `ledger --help` lists them.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use cursor::{CursorKeys, Cursors};
use secrecy::{ExposeSecret, SecretString};

/// Settings of the ledger.
#[derive(Debug, Parser)]
#[command(name = "ledger", version, about = "Keeps accounts, and transfers money between them.")]
pub(crate) struct Config {
    #[command(flatten)]
    pub(crate) service: service::Config,
    #[command(flatten)]
    pub(crate) database: pg::Config,
    #[command(flatten)]
    pub(crate) kafka: events::KafkaConfig,
    #[command(flatten)]
    pub(crate) registry: events::Config,
    #[command(flatten)]
    pub(crate) auth: auth::Config,
    #[command(flatten)]
    pub(crate) admission: http_api::admission::Config,
    #[command(flatten)]
    pub(crate) idempotency: idempotency::http::Config,

    /// Topic of the events of transfers.
    #[arg(long, env, default_value = "payments.events")]
    pub(crate) ledger_events_topic: String,

    /// Keys that sign cursors of lists, as `id:key,id:key…`, each key 32 bytes in hexadecimal: the first signs, all verify. To rotate, add a
    /// key at the end, then move it to the front, and remove the old key after the lifetime of a cursor.
    #[arg(long, env, hide_env_values = true)]
    ledger_cursor_keys: SecretString,

    /// Lifetime of a cursor, in seconds.
    #[arg(long, env, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    ledger_cursor_lifetime_s: u32,
}

impl Config {
    pub(crate) fn cursors(&self) -> anyhow::Result<Cursors> {
        let keys = CursorKeys::parse(self.ledger_cursor_keys.expose_secret()).context(
            "LEDGER_CURSOR_KEYS cannot be used; `echo \"key-1:$(openssl rand -hex 32)\"` makes one key with its id",
        )?;
        Ok(Cursors::new(keys, Duration::from_secs(self.ledger_cursor_lifetime_s.into())))
    }
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}
