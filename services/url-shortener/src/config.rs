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
#[command(name = "url-shortener", version, about = "Gives long URLs short names, and redirects to them.")]
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
    pub(crate) admission: admission::Config,
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
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }

    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }
}
