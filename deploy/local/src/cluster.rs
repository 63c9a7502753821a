//! The product in a Kubernetes cluster: its Secrets, and a test under failures.
//!
//! Every access goes through `kubectl`, to the cluster that `KUBECONFIG` names.

pub(crate) mod check;
mod client;
mod kubectl;
pub(crate) mod secrets;

use std::path::PathBuf;

use crate::checkout::Checkout;

/// The namespace of the overlays.
pub(crate) const NAMESPACE: &str = "muster";

/// The default directory of the secrets of a cluster.
pub(crate) fn kept_secrets(checkout: &Checkout) -> PathBuf {
    checkout.state_dir().join("cluster")
}
