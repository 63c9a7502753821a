//! Where the product of a stack runs: as processes of this machine, or in a Kubernetes cluster.

use std::{fmt, path::PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::checkout::Checkout;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// The stack of `muster up`.
    #[default]
    Local,
    /// The cluster of `KUBECONFIG`, with an on-call desk on this machine.
    Cluster,
}

impl Place {
    /// The environment variable of the option `--target`.
    pub(crate) const VARIABLE: &str = "MUSTER_TARGET";

    /// The directory of the stack: what runs on this machine, and its logs.
    pub(crate) fn state_dir(self, checkout: &Checkout) -> PathBuf {
        match self {
            Self::Local => checkout.state_dir(),
            Self::Cluster => kept_secrets(checkout).join("desk"),
        }
    }
}

/// The default directory of the secrets of a cluster.
pub(crate) fn kept_secrets(checkout: &Checkout) -> PathBuf {
    checkout.state_dir().join("cluster")
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_possible_value().expect("every place is an option").get_name())
    }
}
