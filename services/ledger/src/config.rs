//! Settings of the ledger: each is a flag and an environment variable. `ledger --help` lists them.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use cursor::{CursorKeys, Cursors};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use webhook::Keys;

use crate::bank;

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

    /// Base URL of the API of the bank.
    #[arg(long, env, value_parser = parse_base_url)]
    ledger_bank_url: Url,

    /// Key that the ledger presents to the bank as a bearer token.
    #[arg(long, env, hide_env_values = true, value_name = "KEY")]
    ledger_bank_key: SecretString,

    /// URL at which the bank reaches `POST /v1/bank/notifications` of this service.
    #[arg(long, env, value_parser = parse_url)]
    ledger_webhook_url: Url,

    /// Keys that sign the webhooks of the bank, as `whsec_…,whsec_…`: a signature by one of them is accepted.
    #[arg(long, env, hide_env_values = true, value_name = "KEYS")]
    ledger_webhook_keys: SecretString,
}

impl Config {
    pub(crate) fn cursors(&self) -> anyhow::Result<Cursors> {
        let keys = CursorKeys::parse(self.ledger_cursor_keys.expose_secret()).context(
            "LEDGER_CURSOR_KEYS cannot be used; `echo \"key-1:$(openssl rand -hex 32)\"` makes one key with its id",
        )?;
        Ok(Cursors::new(keys, Duration::from_secs(self.ledger_cursor_lifetime_s.into())))
    }

    pub(crate) fn bank(&self) -> bank::Settings {
        bank::Settings {
            base: self.ledger_bank_url.clone(),
            key: self.ledger_bank_key.clone(),
            webhook_url: self.ledger_webhook_url.clone(),
        }
    }

    pub(crate) fn webhook_keys(&self) -> anyhow::Result<Keys> {
        Keys::parse(self.ledger_webhook_keys.expose_secret()).context(
            "LEDGER_WEBHOOK_KEYS cannot be used; `echo \"whsec_$(openssl rand -base64 32)\"` makes one key, which the bank needs too",
        )
    }
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}

fn parse_base_url(text: &str) -> Result<Url, String> {
    let url = parse_url(text)?;
    if url.path() == "/" {
        Ok(url)
    } else {
        Err(format!("`{text}` has a path: write it like `https://bank.example`"))
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| format!("`{text}` is not a URL with http or https and a host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host_and_a_base_url_has_no_path() {
        for (text, is_url, is_base) in [
            ("http://127.0.0.1:7490", true, true),
            ("https://bank.example/", true, true),
            ("https://ledger.example/v1/bank/notifications", true, false),
            ("ftp://bank.example", false, false),
            ("bank.example", false, false),
            ("", false, false),
        ] {
            assert_eq!((parse_url(text).is_ok(), parse_base_url(text).is_ok()), (is_url, is_base), "{text}");
        }
    }
}
