//! Every setting of this service: a flag and an environment variable each; `url-shortener --help` lists them.

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
// clap names a group after the type, and every crate has a `Config`.
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    pub(crate) service: service::Config,
    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
    #[command(flatten)]
    pub(crate) database: pg::Config,
    #[command(flatten)]
    pub(crate) auth: auth::Config,
    #[command(flatten)]
    pub(crate) admission: http_api::admission::Config,
    #[command(flatten)]
    pub(crate) idempotency: idempotency::http::Config,

    /// Where people reach this service: scheme, host and port. Short links begin with it.
    #[arg(long, env, value_name = "URL")]
    links_public_url: PublicUrl,

    /// Keys that sign the cursors of lists, as `id:key,id:key…`, each key 32 bytes in hexadecimal: the first signs, all verify.
    /// To rotate, add a key at the end, then move it to the front, and take the old one out after a cursor's lifetime.
    #[arg(long, env, hide_env_values = true, value_name = "KEYS")]
    links_cursor_keys: SecretString,

    /// How long a cursor is good after the page that had it, in seconds.
    #[arg(long, env, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    links_cursor_lifetime_s: u32,

    /// Links whose target is remembered in this process, so that redirects need no database. Each takes the memory of its code
    /// and its target, of up to 2 KiB, and some for keeping track. A tenth as many are remembered of codes that lead nowhere.
    #[arg(long, env, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    links_cache_capacity: u32,

    /// How old what a redirect says may be, in milliseconds: after a target is changed, other replicas may lead to the old one
    /// for so long (the one that changed it does not), and while the database is down, links that are remembered can be followed
    /// for so long. A read of the database that takes longer fails.
    #[arg(long, env, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    links_cache_max_age_ms: u32,

    /// The same for a code that led nowhere: after a link is made, other replicas may answer 404 for so long.
    #[arg(long, env, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    links_cache_absent_max_age_ms: u32,
}

impl Config {
    /// Returns the public URL, unless this environment must not have it.
    pub(crate) fn public_url(&self) -> anyhow::Result<PublicUrl> {
        let url = &self.links_public_url;
        ensure!(
            self.service.environment == Environment::Local || (url.is_https() && !url.is_loopback()),
            "LINKS_PUBLIC_URL is {url}, but links in production must begin with https and a host that people \
             can reach; set it to the public origin, or set ENVIRONMENT=local"
        );
        Ok(url.clone())
    }

    /// Returns the maker of cursors.
    pub(crate) fn cursors(&self) -> anyhow::Result<Cursors> {
        let keys = CursorKeys::parse(self.links_cursor_keys.expose_secret()).context(
            "LINKS_CURSOR_KEYS cannot be used; `echo \"key-1:$(openssl rand -hex 32)\"` makes one key with its id",
        )?;
        Ok(Cursors::new(keys, Duration::from_secs(self.links_cursor_lifetime_s.into())))
    }

    /// Returns the bounds of the cache of targets.
    pub(crate) fn cache(&self) -> read_cache::Settings {
        let capacity = u64::from(self.links_cache_capacity);
        read_cache::Settings {
            name: "targets",
            capacity,
            max_age: Duration::from_millis(self.links_cache_max_age_ms.into()),
            absent_capacity: capacity / 10,
            absent_max_age: Duration::from_millis(self.links_cache_absent_max_age_ms.into()),
            // Whoever was let in finds a place, unless many loads are left over from requests that were given up.
            max_loads: self.admission.max_requests_in_flight as usize,
            load_timeout: Duration::from_millis(self.service.http.request_timeout_ms),
        }
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
