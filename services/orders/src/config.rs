//! Settings of the order service: each is a flag and an environment variable. `orders --help` lists them.

use std::path::PathBuf;

use anyhow::Context;
use chrono::Duration;
use clap::Parser;
use cursor::{CursorKeys, Cursors};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{back_pressure::Bounds, domain::TrackingKey};

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

    /// Topic of this service's events about recipients of promotions.
    #[arg(long, env, default_value = "orders.promotions")]
    pub(crate) orders_promotions_topic: String,

    /// Interval of the search for customers to win back with a mail, in seconds. Without it, there is no search.
    #[arg(long, env, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) orders_win_back_every_s: Option<u32>,

    /// JSON file with products. At start-up, the service adds the missing ones to the catalogues of their tenants.
    #[arg(long, env)]
    pub(crate) orders_catalogue_file: Option<PathBuf>,

    /// Key that signs tracking links, the links to the public pages of orders: 32 bytes in hexadecimal.
    #[arg(long, env, hide_env_values = true)]
    orders_tracking_key: SecretString,

    /// Lifetime of a tracking link, in days after the order is placed.
    #[arg(long, env, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    orders_tracking_days: u16,

    /// Age at which an order that is not final counts as late, in seconds (objective `final`).
    #[arg(long, env, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    orders_final_within_s: u16,

    #[command(flatten)]
    pub(crate) back_pressure: Bounds,

    /// Public URL of this service: scheme, host and port. Tracking links start with it.
    #[arg(long, env)]
    orders_public_url: Url,

    /// Keys that sign cursors of lists, as `id:key,id:key…`, each key 32 bytes in hexadecimal: the first signs, all verify. To rotate, add a
    /// key at the end, then move it to the front, and remove the old key after the lifetime of a cursor.
    #[arg(long, env, hide_env_values = true)]
    orders_cursor_keys: SecretString,

    /// Lifetime of a cursor, in seconds.
    #[arg(long, env, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    orders_cursor_lifetime_s: u32,
}

/// Checked settings of tracking links.
#[derive(Clone)]
pub(crate) struct Tracking {
    pub(crate) key: TrackingKey,
    pub(crate) lifetime: Duration,
    /// Without a trailing slash.
    pub(crate) public_url: String,
}

impl Config {
    pub(crate) fn tracking(&self) -> anyhow::Result<Tracking> {
        let key = TrackingKey::from_hex(self.orders_tracking_key.expose_secret()).context(
            "ORDERS_TRACKING_KEY must be 32 bytes in hexadecimal; create one with `openssl rand -hex 32`",
        )?;
        let url = &self.orders_public_url;
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none(),
            "ORDERS_PUBLIC_URL must be only scheme, host and port of an HTTP server"
        );
        Ok(Tracking {
            key,
            lifetime: Duration::days(self.orders_tracking_days.into()),
            public_url: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn final_within(&self) -> Duration {
        Duration::seconds(self.orders_final_within_s.into())
    }

    pub(crate) fn cursors(&self) -> anyhow::Result<Cursors> {
        let keys = CursorKeys::parse(self.orders_cursor_keys.expose_secret()).context(
            "ORDERS_CURSOR_KEYS cannot be used; `echo \"key-1:$(openssl rand -hex 32)\"` makes one key with its id",
        )?;
        Ok(Cursors::new(keys, std::time::Duration::from_secs(self.orders_cursor_lifetime_s.into())))
    }
}

impl Tracking {
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.starts_with("https:")
    }
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}
