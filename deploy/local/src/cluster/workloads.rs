//! The workloads of the product in a cluster: whether they are available, which containers they run, and their restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Cluster, NAMESPACE, gateway};
use crate::console::print;

/// Limit for the time until every workload is available: after a restart of the cluster, images and data are there.
const AVAILABLE_WITHIN: Duration = Duration::from_mins(3);

const POLL: Duration = Duration::from_secs(1);

/// Limit of a rollout.
const ROLL_OUT: &str = "--timeout=300s";

/// What must be available for a drill, as `muster cluster-check` deploys it.
const REQUIRED: [&str; 7] = [
    "deployment/email-consumer",
    "deployment/mailbox",
    "deployment/orders",
    "deployment/registry",
    "deployment/url-shortener",
    "statefulset/kafka",
    "statefulset/postgres",
];

/// Waits until the workloads that a drill needs are available.
pub(crate) async fn require_available(cluster: &Cluster) -> anyhow::Result<()> {
    let deadline = Instant::now() + AVAILABLE_WITHIN;
    loop {
        let missing = unavailable(&list(cluster, "deployments,statefulsets").await?);
        if missing.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "not available in namespace {NAMESPACE}: {}.\nDeploy with `make k8s/check` (docs/kubernetes.md); \
             `kubectl -n {NAMESPACE} get pods` shows what is missing",
            missing.join(", ")
        );
        sleep(POLL).await;
    }
}

/// The required workloads that have no available pod.
fn unavailable(list: &Value) -> Vec<&'static str> {
    let available: BTreeSet<String> = items(list).filter(|it| is_available(it)).filter_map(name).collect();
    REQUIRED.into_iter().filter(|name| !available.contains(*name)).collect()
}

fn is_available(workload: &Value) -> bool {
    workload["status"]["availableReplicas"].as_u64().unwrap_or_default() > 0
}

/// `KIND/NAME` of a workload.
fn name(workload: &Value) -> Option<String> {
    let (kind, name) = (workload["kind"].as_str()?, workload["metadata"]["name"].as_str()?);
    Some(format!("{}/{name}", kind.to_lowercase()))
}

/// Restarts the pods of one workload; returns when all of them are new and ready.
pub(crate) async fn restart(cluster: &Cluster, part: &str) -> anyhow::Result<()> {
    let list = list(cluster, "deployments,statefulsets").await?;
    let names: Vec<String> = items(&list).filter_map(name).collect();
    let Some(workload) = names.iter().find(|name| name.ends_with(&format!("/{part}"))) else {
        bail!("there is no part {part}; in the cluster there are {}", names.join(", "));
    };
    cluster.kubectl(&["rollout", "restart", workload]).await?;
    cluster
        .kubectl(&["rollout", "status", workload, ROLL_OUT])
        .await
        .with_context(|| format!("{part} is not ready again; `kubectl describe {workload}` says why"))?;
    print(format_args!("{part:<15} restarted in the cluster"));
    Ok(())
}

/// The containers of each part that run now. A container that starts again has a new id.
pub(crate) async fn containers(cluster: &Cluster) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    Ok(running_containers(&list(cluster, "pods").await?))
}

fn running_containers(pods: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut containers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pod in items(pods).filter(|pod| pod["status"]["phase"] == "Running") {
        let Some(part) = pod["metadata"]["labels"]["app.kubernetes.io/name"].as_str() else { continue };
        // The gateway belongs to the desk.
        if part == gateway::NAME {
            continue;
        }
        let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let ids = statuses.filter_map(|status| status["containerID"].as_str()).map(str::to_owned);
        containers.entry(part.to_owned()).or_default().extend(ids);
    }
    containers
}

async fn list(cluster: &Cluster, kinds: &str) -> anyhow::Result<Value> {
    let text = cluster.kubectl(&["get", kinds, "--output=json"]).await?;
    serde_json::from_str(&text).context("the output of kubectl")
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workload_without_an_available_pod_is_named() {
        let workload = |kind: &str, name: &str, n_available: u64| {
            let status =
                if n_available > 0 { json!({ "availableReplicas": n_available }) } else { json!({}) };
            json!({ "kind": kind, "metadata": { "name": name }, "status": status })
        };
        let mut items: Vec<Value> = REQUIRED
            .iter()
            .map(|name| {
                let (kind, name) = name.split_once('/').unwrap();
                workload(if kind == "deployment" { "Deployment" } else { "StatefulSet" }, name, 1)
            })
            .collect();
        assert!(unavailable(&json!({ "items": items })).is_empty());
        items[2] = workload("Deployment", "orders", 0);
        items.pop();
        assert_eq!(unavailable(&json!({ "items": items })), ["deployment/orders", "statefulset/postgres"]);
    }

    #[test]
    fn running_containers_have_the_name_of_their_part() {
        let pod = |name: &str, phase: &str, id: &str| {
            json!({
                "metadata": { "labels": { "app.kubernetes.io/name": name } },
                "status": { "phase": phase, "containerStatuses": [{ "containerID": id }] },
            })
        };
        let pods = json!({ "items": [
            pod("orders", "Running", "containerd://a"),
            pod("orders", "Running", "containerd://b"),
            pod("orders", "Succeeded", "containerd://migration"),
            pod(gateway::NAME, "Running", "containerd://c"),
        ]});
        let expected = BTreeSet::from(["containerd://a".to_owned(), "containerd://b".to_owned()]);
        assert_eq!(running_containers(&pods), BTreeMap::from([("orders".to_owned(), expected)]));
    }
}
