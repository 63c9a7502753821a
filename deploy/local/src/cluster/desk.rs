//! The on-call desk of a cluster: Prometheus, Alertmanager and pager on this machine, linked with the product in the cluster.

use std::path::Path;

use anyhow::{Context, ensure};

use super::{Cluster, NAMESPACE, gateway};
use crate::{config::StackConfig, place::kept_secrets};

/// Checks that the cluster is one for drills, and deploys the gateway. A desk that runs keeps its cluster.
pub(crate) async fn open(config: &StackConfig, is_running: bool) -> anyhow::Result<()> {
    let cluster = &Cluster::of(config);
    if !is_running {
        cluster.keep_current().await?;
    }
    require_test_cluster(cluster, &kept_secrets(&config.checkout)).await?;
    gateway::deploy(cluster).await
}

/// Removes from the cluster what the desk deployed.
pub(crate) async fn close(config: &StackConfig) -> anyhow::Result<()> {
    let cluster = &Cluster::of(config);
    if !cluster.kubeconfig().is_file() {
        return Ok(());
    }
    gateway::remove(cluster).await.context("the gateway is still in the cluster: run this again")
}

/// A drill breaks things. Only a test cluster has the Secret with the key of the check, and this checkout made it.
async fn require_test_cluster(cluster: &Cluster, kept: &Path) -> anyhow::Result<()> {
    let template = "go-template={{index .data \"client-key.json\" | base64decode}}";
    let get = ["get", "secret", "cluster-check-key", "--ignore-not-found", "--output", template];
    let found = cluster.kubectl(&get).await.context("the cluster of KUBECONFIG does not answer")?;
    let key = kept.join("client-key.json");
    let own = std::fs::read_to_string(&key).unwrap_or_default();
    ensure!(
        !own.is_empty() && own.trim() == found.trim(),
        "this is no test cluster of this checkout, so no drill runs here: its Secret cluster-check-key in namespace {NAMESPACE} is not \
         {}. Deploy with `make k8s/check` (docs/kubernetes.md)",
        key.display()
    );
    Ok(())
}
