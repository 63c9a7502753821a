//! `muster up`: starts the stack, or what of it is missing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;

use crate::checkout::Checkout;
use crate::console::{print, seconds};
use crate::ports::{DEFAULT_BASE, Ports};
use crate::profile::Profile;
use crate::signals::Interrupts;
use crate::stack::StackConfig;
use crate::stack::{Stack, start};
use crate::state::{Record, State};

/// What can be said about a start.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The first port of the stack; remembered for the next time.
    #[arg(long, env = "MUSTER_PORT_BASE")]
    port_base: Option<u16>,
    /// How fast the rules' time runs: `drill` (the default) pages within seconds, `production` as it would there;
    /// remembered for the next time.
    #[arg(long, env = "MUSTER_PROFILE")]
    profile: Option<Profile>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let begun = Instant::now();
    let checkout = Checkout::find()?;
    checkout.require_setup()?;
    let state = Arc::new(State::open(&checkout.state_dir())?);
    let record = state.record();
    let ports = choose_ports(args.port_base, &record)?;
    let profile = choose_profile(args.profile, &record)?;
    state.update(|record| {
        record.port_base = Some(ports.base());
        record.profile = Some(profile);
    })?;
    let home = checkout.state_dir();
    let stack = Stack::local(StackConfig::prepare(checkout, home, ports)?, profile);
    let was_running = stack.parts.iter().all(|part| record.alive(part.name).is_some());

    start(&stack, &state, &mut interrupts).await.context("the stack is not up")?;
    print(summary(was_running, begun.elapsed()));
    Ok(())
}

fn choose_ports(requested: Option<u16>, record: &Record) -> anyhow::Result<Ports> {
    let remembered = record.port_base.unwrap_or(DEFAULT_BASE);
    let base = requested.unwrap_or(remembered);
    if base != remembered && record.any_alive() {
        bail!("the stack runs on port base {remembered}: `muster down` first, then up with {base}");
    }
    Ports::from_base(base)
}

fn choose_profile(requested: Option<Profile>, record: &Record) -> anyhow::Result<Profile> {
    let remembered = record.profile.unwrap_or_default();
    let profile = requested.unwrap_or(remembered);
    if profile != remembered && record.any_alive() {
        bail!("the stack runs with the {remembered} profile: `muster down` first, then up with {profile}");
    }
    Ok(profile)
}

fn summary(was_running: bool, took: Duration) -> String {
    if was_running {
        return "The stack was already running; `muster down` stops it.".to_owned();
    }
    format!("The stack is ready after {}; `muster down` stops it.", seconds(took))
}
