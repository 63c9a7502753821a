//! Every setting of this service: a flag and an environment variable each; `orders --help` lists them.

use std::path::PathBuf;

use anyhow::Context;
use chrono::Duration;
use clap::Parser;
use cursor::{CursorKeys, Cursors};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::domain::TrackingKey;

/// Settings of the order service.
#[derive(Debug, Parser)]
#[command(
    name = "orders",
    version,
    about = "Accepts orders, reserves stock, and confirms or rejects each order."
)]
pub(crate) struct Config {
    #[command(flatten)]
    pub(crate) service: service::Config,
    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
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

    /// Topic of this service's events.
    #[arg(long, env, default_value = "orders.events")]
    pub(crate) orders_events_topic: String,

    /// Products to add to tenants' catalogues at start-up, where they are missing (JSON file).
    #[arg(long, env)]
    pub(crate) orders_catalogue_file: Option<PathBuf>,

    /// Key that signs the links to orders' public pages: 32 bytes in hexadecimal.
    #[arg(long, env, hide_env_values = true)]
    orders_tracking_key: SecretString,

    /// How long such a link works, in days from the order.
    #[arg(long, env, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    orders_tracking_days: u16,

    /// How long an order may take to its final state before it counts as late, in seconds; the objective `final`.
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    orders_final_within_s: u16,

    /// Where customers reach this service: scheme, host and port.
    #[arg(long, env)]
    orders_public_url: Url,

    /// Keys that sign the cursors of lists, as `id:key,id:key…`, each key 32 bytes in hexadecimal: the first signs, all verify.
    /// To rotate, add a key at the end, then move it to the front, and take the old one out after a cursor's lifetime.
    #[arg(long, env, hide_env_values = true)]
    orders_cursor_keys: SecretString,

    /// How long a cursor is good after the page that had it, in seconds.
    #[arg(long, env, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    orders_cursor_lifetime_s: u32,
}

/// How links to orders' public pages are made.
#[derive(Clone)]
pub(crate) struct Tracking {
    pub(crate) key: TrackingKey,
    pub(crate) lifetime: Duration,
    /// Without a slash at its end.
    pub(crate) public_url: String,
}

impl Config {
    /// Returns the checked settings of links to public pages.
    pub(crate) fn tracking(&self) -> anyhow::Result<Tracking> {
        let key = TrackingKey::from_hex(self.orders_tracking_key.expose_secret()).context(
            "ORDERS_TRACKING_KEY must be 32 bytes in hexadecimal; `openssl rand -hex 32` makes one",
        )?;
        let url = &self.orders_public_url;
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none(),
            "ORDERS_PUBLIC_URL must be scheme, host and port of an HTTP server, and nothing more"
        );
        Ok(Tracking {
            key,
            lifetime: Duration::days(self.orders_tracking_days.into()),
            public_url: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    /// Returns how long an order may take to its final state.
    pub(crate) fn final_within(&self) -> Duration {
        Duration::seconds(self.orders_final_within_s.into())
    }

    /// Returns the maker of cursors.
    pub(crate) fn cursors(&self) -> anyhow::Result<Cursors> {
        let keys = CursorKeys::parse(self.orders_cursor_keys.expose_secret()).context(
            "ORDERS_CURSOR_KEYS cannot be used; `echo \"key-1:$(openssl rand -hex 32)\"` makes one key with its id",
        )?;
        Ok(Cursors::new(keys, std::time::Duration::from_secs(self.orders_cursor_lifetime_s.into())))
    }
}

impl Tracking {
    /// Returns whether customers reach this service over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.starts_with("https:")
    }
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }

    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }
}
