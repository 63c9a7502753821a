//! Settings of the bank: each is a flag and an environment variable. `bank --help` lists them.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use actix_web::web::{Data, ServiceConfig};
use anyhow::Context as _;
use clap::Parser;
use http_api::Admission;
use secrecy::{ExposeSecret, SecretString};
use webhook::Keys;

use crate::{
    domain::Misbehaviour,
    routes,
    state::{ApiKey, Switch},
};

/// Settings of the bank.
#[derive(Debug, Parser)]
#[command(
    name = "bank",
    version,
    about = "Stands for a bank's settlement network: slow, at least once, and sometimes wrong."
)]
// clap names a group after the type, and every crate has a type `Config`.
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    service: service::Config,
    #[command(flatten)]
    pub(crate) admission: http_api::admission::Config,

    /// File with everything the bank knows. It is created if it does not exist.
    #[arg(long, env, value_name = "PATH")]
    pub(crate) bank_journal: PathBuf,

    /// Key that clients present as a bearer token.
    #[arg(long, env, hide_env_values = true, value_name = "KEY")]
    bank_key: SecretString,

    /// Keys that sign webhooks, as `whsec_…,whsec_…`. Each webhook has a signature by each key.
    #[arg(long, env, hide_env_values = true, value_name = "KEYS")]
    bank_webhook_keys: SecretString,

    /// How long after its decision the webhooks of an instruction are retried, in seconds.
    #[arg(long, env, value_name = "S", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    bank_webhook_budget_s: u32,

    #[command(flatten)]
    misbehaviour: Misbehaviour,

    /// Made from the flags at its first use.
    #[arg(skip)]
    switch: OnceLock<Switch>,
}

impl Config {
    pub(crate) fn key(&self) -> anyhow::Result<ApiKey> {
        self.bank_key.expose_secret().parse().context("BANK_KEY cannot be used")
    }

    pub(crate) fn webhook_keys(&self) -> anyhow::Result<Keys> {
        Keys::parse(self.bank_webhook_keys.expose_secret()).context(
            "BANK_WEBHOOK_KEYS cannot be used; `echo \"whsec_$(openssl rand -base64 32)\"` makes one key",
        )
    }

    pub(crate) fn webhook_budget(&self) -> Duration {
        Duration::from_secs(self.bank_webhook_budget_s.into())
    }

    /// Returns the switch of the misbehaviour, which the API and the admin port share.
    pub(crate) fn switch(&self) -> Switch {
        self.switch.get_or_init(|| Switch::new(self.misbehaviour.clone())).clone()
    }

    pub(crate) fn check_misbehaviour(&self) -> anyhow::Result<()> {
        self.misbehaviour.check().context("BANK_DELAY_MIN_MS cannot be used")
    }
}

impl service::HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }

    fn admin_pages(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
        let (switch, admission) = (Data::new(self.switch()), Admission::new(&self.admission));
        move |pages: &mut ServiceConfig| {
            pages
                .app_data(switch.clone())
                .app_data(admission.clone())
                .configure(|pages| routes::admin_api().register(pages));
        }
    }
}
