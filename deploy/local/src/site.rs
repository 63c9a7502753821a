//! Where one stack lives: its checkout, its state directory, its ports and its secrets.
//!
//! A checkout has up to two: the one of `muster up` under `.muster/`, and beside it the one of
//! `muster run` under `.muster/test/`. They share nothing but the downloaded parts.

use std::path::PathBuf;

use anyhow::Context;

use crate::checkout::Checkout;
use crate::ports::Ports;
use crate::secrets::Secrets;

/// Everything a part has to know about its surroundings.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) checkout: Checkout,
    pub(crate) home: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) secrets: Secrets,
}

impl Site {
    /// Makes the directories and the secrets of a stack in `home`, keeping those that are there.
    pub(crate) fn prepare(checkout: Checkout, home: PathBuf, ports: Ports) -> anyhow::Result<Self> {
        for directory in ["logs", "tmp"] {
            let path = home.join(directory);
            std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        }
        let secrets = Secrets::ensure(&home.join("secrets"))?;
        Ok(Self { checkout, home, ports, secrets })
    }

    /// The directory that holds the data and the configuration of a part.
    pub(crate) fn dir(&self, part: &str) -> PathBuf {
        self.home.join(part)
    }

    /// The file that takes what a part writes to its standard output and error.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        log_file(&self.home, part)
    }
}

/// The log of a part of the stack in `home`.
pub(crate) fn log_file(home: &std::path::Path, part: &str) -> PathBuf {
    home.join("logs").join(format!("{part}.log"))
}
