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

pub(crate) use kubectl::Cluster;

/// The namespace of the overlays.
pub(crate) const NAMESPACE: &str = "muster";
