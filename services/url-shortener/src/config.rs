//! Every setting of this service: a flag and an environment variable each; `url-shortener --help` lists them.

use anyhow::ensure;
use clap::Parser;
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

    /// Where people reach this service: scheme, host and port. Short links begin with it.
    #[arg(long, env, value_name = "URL")]
    links_public_url: PublicUrl,
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
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }

    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }
}
