//! Settings of url-shortener: each is a flag and an environment variable. `url-shortener --help` lists them.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use cursor::{CursorKeys, Cursors};
use secrecy::{ExposeSecret, SecretString};
use telemetry::Environment;

use crate::domain::PublicUrl;

/// Settings of the URL shortener.
#[derive(Debug, Parser)]
#[command(
    name = "url-shortener",
    version,
    about = "Creates short links and redirects them to their targets."
)]
// clap names a group after the type, and every crate has a type `Config`.
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    pub(crate) service: service::Config,
    #[command(flatten)]
    pub(crate) database: pg::Config,
    #[command(flatten)]
    pub(crate) auth: auth::Config,
    #[command(flatten)]
    pub(crate) admission: http_api::admission::Config,
    #[command(flatten)]
    pub(crate) idempotency: idempotency::http::Config,

    /// Public URL of this service: scheme, host and port. Short links start with it.
    #[arg(long, env, value_name = "URL")]
    links_public_url: PublicUrl,

    /// Keys that sign cursors of lists, as `id:key,id:key…`, each key 32 bytes in hexadecimal: the first signs, all verify. To rotate, add a
    /// key at the end, then move it to the front, and remove the old key after the lifetime of a cursor.
    #[arg(long, env, hide_env_values = true, value_name = "KEYS")]
    links_cursor_keys: SecretString,

    /// Lifetime of a cursor, in seconds.
    #[arg(long, env, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    links_cursor_lifetime_s: u32,

    /// Maximum number of cached targets. A cached redirect needs no database. An entry takes the memory of its code and its target (up to 2
    /// KiB) and some overhead. The cache also holds up to a tenth as many codes without a link.
    #[arg(long, env, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    links_cache_capacity: u32,

    /// Maximum age of a cached target, in milliseconds. For this time, other replicas may redirect to the old target after a change (the
    /// replica that changed it does not), and cached links work while the database is down. A read from the database that takes longer fails.
    #[arg(long, env, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    links_cache_max_age_ms: u32,

    /// Maximum age of a cached 404, in milliseconds. For this time, other replicas may return 404 after a link is created.
    #[arg(long, env, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    links_cache_absent_max_age_ms: u32,
}

impl Config {
    /// Returns the public URL. Production requires https and a host that is not loopback.
    pub(crate) fn public_url(&self) -> anyhow::Result<PublicUrl> {
        let url = &self.links_public_url;
        ensure!(
            self.service.environment == Environment::Local || (url.is_https() && !url.is_loopback()),
            "LINKS_PUBLIC_URL is {url}, but production requires https and a public host; set it to the public \
             origin, or set ENVIRONMENT=local"
        );
        Ok(url.clone())
    }

    pub(crate) fn cursors(&self) -> anyhow::Result<Cursors> {
        let keys = CursorKeys::parse(self.links_cursor_keys.expose_secret()).context(
            "LINKS_CURSOR_KEYS cannot be used; `echo \"key-1:$(openssl rand -hex 32)\"` makes one key with its id",
        )?;
        Ok(Cursors::new(keys, Duration::from_secs(self.links_cursor_lifetime_s.into())))
    }

    pub(crate) fn cache(&self) -> read_cache::Settings {
        let capacity = u64::from(self.links_cache_capacity);
        read_cache::Settings {
            name: "targets",
            capacity,
            max_age: Duration::from_millis(self.links_cache_max_age_ms.into()),
            absent_capacity: capacity / 10,
            absent_max_age: Duration::from_millis(self.links_cache_absent_max_age_ms.into()),
            // Enough for all admitted requests, unless many loads outlive their requests.
            max_loads: self.admission.max_requests_in_flight as usize,
            load_timeout: Duration::from_millis(self.service.http.request_timeout_ms),
        }
    }
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}
