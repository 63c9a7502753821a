//! `muster certificates`: the certificates of the local stack.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::local_config;
use crate::{
    certificates::{LIFETIME, SERVERS, expires_at, files, renew},
    console::print,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show each certificate: server, expiry, file.
    Show,
    /// Issue new certificates into the same files; a running server loads them within seconds, without a restart.
    Renew {
        /// The server, as `muster certificates show` names it; all servers if left out.
        name: Option<String>,
        /// Validity of the new certificate, in seconds; 90 days if left out.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=LIFETIME.as_secs()))]
        valid_for: Option<u64>,
    },
}

pub(super) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Show => SERVERS.into_iter().try_for_each(show),
        Command::Renew { name: Some(name), valid_for } => renew_and_show(&name, valid_for),
        Command::Renew { name: None, valid_for } => {
            SERVERS.into_iter().try_for_each(|name| renew_and_show(name, valid_for))
        }
    }
}

fn renew_and_show(name: &str, valid_for: Option<u64>) -> anyhow::Result<()> {
    ensure!(SERVERS.contains(&name), "no server has the name {name}: choose one of {}", SERVERS.join(", "));
    let valid_for = valid_for.map_or(LIFETIME, Duration::from_secs);
    renew(&local_config()?.secrets, name, valid_for)?;
    show(name)
}

fn show(name: &str) -> anyhow::Result<()> {
    let files = files(&local_config()?.secrets, name)?;
    let file = files.certificate.display();
    match expires_at(&files) {
        Ok(expiry) => {
            let expiry = DateTime::from_timestamp(expiry, 0).context("the certificate never expires")?;
            let state = if expiry > Utc::now() { "valid until" } else { "EXPIRED at" };
            print(format_args!("{name:<14} CN={name}  {state} {}  {file}", expiry.format("%F %T UTC")));
        }
        Err(error) => print(format_args!("{name:<14} cannot be used: {error:#}")),
    }
    Ok(())
}
