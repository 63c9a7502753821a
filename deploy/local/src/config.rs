//! Configuration of one stack: checkout, state directory, ports, secrets.
//!
//! A checkout can have several stacks: `muster up` keeps its state in `.muster/`, `muster run` in `.muster/test/`, `muster bench` in
//! `.muster/bench/`, `muster torture` in `.muster/torture/`, a stack with a name in `.muster/stacks/NAME`. They share only the downloaded parts.
//! The on-call desk of a cluster is a stack in `.muster/cluster/desk/`.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{
    checkout::Checkout,
    place::{Place, kept_secrets},
    ports::Ports,
    process::Launch,
    profile::Profile,
    secrets::Secrets,
};

/// What a command that starts a stack may set.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Requested {
    /// The first port of the stack; stored for the next start.
    #[arg(long, env = "MUSTER_PORT_BASE")]
    pub(crate) port_base: Option<u16>,
    /// Time scale of the alert rules: `drill` (the default) pages within seconds, `production` as in production; stored for the next start.
    #[arg(long, env = "MUSTER_PROFILE")]
    pub(crate) profile: Option<Profile>,
}

/// The settings from which each part derives its files, addresses and passwords.
#[derive(Debug)]
pub(crate) struct StackConfig {
    pub(crate) place: Place,
    pub(crate) checkout: Checkout,
    pub(crate) state_dir: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) secrets: Secrets,
    pub(crate) profile: Profile,
}

impl StackConfig {
    /// Creates the directories and the secrets of a stack in `state_dir`; keeps existing ones.
    pub(crate) fn prepare(checkout: Checkout, state_dir: PathBuf, ports: Ports) -> anyhow::Result<Self> {
        make_directories(&state_dir)?;
        let secrets = Secrets::ensure(&state_dir.join("secrets"))?;
        Ok(Self { place: Place::Local, checkout, state_dir, ports, secrets, profile: Profile::default() })
    }

    /// As [`Self::prepare`], for the stack of a place; a desk has the secrets of its cluster.
    pub(crate) fn at(place: Place, checkout: Checkout, ports: Ports) -> anyhow::Result<Self> {
        let state_dir = place.state_dir(&checkout);
        make_directories(&state_dir)?;
        let secrets = secrets(place, &checkout)?;
        Ok(Self { place, checkout, state_dir, ports, secrets, profile: Profile::default() })
    }

    /// A command of this program on this stack.
    pub(crate) fn command(&self, name: &str) -> anyhow::Result<Launch> {
        let launch = Launch::this_program(name)?.directory(self.checkout.root());
        Ok(launch.env(Place::VARIABLE, self.place.to_string()))
    }

    /// The directory with the data and the configuration of a part.
    pub(crate) fn dir(&self, part: &str) -> PathBuf {
        self.state_dir.join(part)
    }

    /// The file that receives the standard output and standard error of a part.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        log_file(&self.state_dir, part)
    }
}

/// The secrets of the stack of a place; creates those that are missing.
pub(crate) fn secrets(place: Place, checkout: &Checkout) -> anyhow::Result<Secrets> {
    match place {
        Place::Local => Secrets::ensure(&checkout.state_dir().join("secrets")),
        Place::Cluster => Secrets::of_cluster(&kept_secrets(checkout)),
    }
}

fn make_directories(state_dir: &Path) -> anyhow::Result<()> {
    ["logs", "tmp"].into_iter().try_for_each(|directory| {
        let path = state_dir.join(directory);
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))
    })
}

pub(crate) fn log_file(state_dir: &Path, part: &str) -> PathBuf {
    state_dir.join("logs").join(format!("{part}.log"))
}
