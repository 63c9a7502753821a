//! The product in a Kubernetes cluster: its secrets, and whether it withstands what clusters do.
//!
//! Everything goes through `kubectl`, and so to the cluster that `KUBECONFIG` names.

pub(crate) mod check;
mod client;
mod kubectl;
pub(crate) mod secrets;

use std::path::PathBuf;

use crate::checkout::Checkout;

/// Where the overlays put everything.
pub(crate) const NAMESPACE: &str = "muster";

/// Where the secrets of a cluster are kept unless somebody says otherwise.
pub(crate) fn kept_secrets(checkout: &Checkout) -> PathBuf {
    checkout.state_dir().join("cluster")
}
