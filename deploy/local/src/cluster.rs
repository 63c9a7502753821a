//! The product in a Kubernetes cluster: its Secrets, a test under failures, and drills.
//!
//! Every access goes through `kubectl`, to the cluster that `KUBECONFIG` names.

pub(crate) mod check;
mod client;
pub(crate) mod desk;
mod gateway;
mod kubectl;
pub(crate) mod link;
pub(crate) mod relay;
mod scrape;
pub(crate) mod secrets;
pub(crate) mod workloads;

use std::path::PathBuf;

pub(crate) use kubectl::Cluster;

use crate::checkout::Checkout;

/// The namespace of the overlays.
pub(crate) const NAMESPACE: &str = "muster";

/// The default directory of the secrets of a cluster.
pub(crate) fn kept_secrets(checkout: &Checkout) -> PathBuf {
    checkout.state_dir().join("cluster")
}

/// The directory of the on-call desk: what runs on this machine while the product runs in a cluster.
pub(crate) fn desk_dir(checkout: &Checkout) -> PathBuf {
    kept_secrets(checkout).join("desk")
}
