//! Configuration of one stack: checkout, state directory, ports, secrets.
//!
//! A checkout can have several stacks: `muster up` keeps its state in `.muster/`, `muster run` in `.muster/test/`, `muster bench` in
//! `.muster/bench/`, a stack with a name in `.muster/stacks/NAME`. They share only the downloaded parts.

use std::path::PathBuf;

use anyhow::Context;

use crate::{checkout::Checkout, ports::Ports, profile::Profile, secrets::Secrets};

/// The settings from which each part derives its files, addresses and passwords.
#[derive(Debug)]
pub(crate) struct StackConfig {
    pub(crate) checkout: Checkout,
    pub(crate) state_dir: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) secrets: Secrets,
    pub(crate) profile: Profile,
}

impl StackConfig {
    /// Creates the directories and the secrets of a stack in `state_dir`; keeps existing ones.
    pub(crate) fn prepare(checkout: Checkout, state_dir: PathBuf, ports: Ports) -> anyhow::Result<Self> {
        for directory in ["logs", "tmp"] {
            let path = state_dir.join(directory);
            std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        }
        let secrets = Secrets::ensure(&state_dir.join("secrets"))?;
        Ok(Self { checkout, state_dir, ports, secrets, profile: Profile::default() })
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

pub(crate) fn log_file(state_dir: &std::path::Path, part: &str) -> PathBuf {
    state_dir.join("logs").join(format!("{part}.log"))
}
