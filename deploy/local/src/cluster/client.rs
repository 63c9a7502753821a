//! `muster demo` as a job in the cluster: it uses the addresses of the services, which distribute its connections over the pods.

use std::time::Duration;

use anyhow::{bail, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    NAMESPACE,
    kubectl::{apply, kubectl},
};
use crate::console::print_indented;

/// Time limit for the start of the job; its end has twice as long.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Interval between two checks.
const POLL: Duration = Duration::from_secs(1);

/// A running client.
pub(super) struct Client {
    name: String,
}

impl Client {
    /// Starts `muster demo` with these arguments, and waits until it runs.
    pub(super) async fn start(name: &str, image: &str, demo: &[&str]) -> anyhow::Result<Self> {
        let name = format!("cluster-check-{name}");
        kubectl(&["delete", "job", &name, "--ignore-not-found", "--wait"]).await?;
        apply(&job(&name, image, demo).to_string()).await?;
        let client = Self { name };
        let end = Instant::now() + TIMEOUT;
        while client.count("ready").await? + client.count("succeeded").await? + client.count("failed").await?
            == 0
        {
            ensure!(Instant::now() < end, "{} does not start", client.name);
            sleep(POLL).await;
        }
        Ok(client)
    }

    /// Reports whether it has not ended.
    pub(super) async fn is_running(&self) -> anyhow::Result<bool> {
        Ok(self.count("succeeded").await? + self.count("failed").await? == 0)
    }

    /// Waits until it has ended, and prints its output; fails when it failed.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        let end = Instant::now() + 2 * TIMEOUT;
        while self.is_running().await? && Instant::now() < end {
            sleep(POLL).await;
        }
        let log = kubectl(&["logs", &format!("job/{}", self.name), "--tail=-1"]).await?;
        print_indented(log.lines());
        if self.count("succeeded").await? == 0 {
            bail!("{} failed: see above", self.name);
        }
        Ok(())
    }

    async fn count(&self, what: &str) -> anyhow::Result<u32> {
        let path = format!("jsonpath={{.status.{what}}}");
        let count = kubectl(&["get", "job", &self.name, "--output", &path]).await?;
        Ok(count.parse().unwrap_or_default())
    }
}

fn job(name: &str, image: &str, demo: &[&str]) -> Value {
    let args: Vec<&str> =
        ["demo", "--at=/etc/muster/product/product.toml"].iter().chain(demo).copied().collect();
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": { "labels": {
                    "app.kubernetes.io/name": "cluster-check",
                    "app.kubernetes.io/part-of": "muster",
                } },
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": "parts",
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "fsGroup": 65532,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": "client",
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "args": args,
                        "resources": {
                            "requests": { "cpu": "100m", "memory": "64Mi" },
                            "limits": { "cpu": "1", "memory": "256Mi" },
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"] },
                        },
                        "volumeMounts": [
                            { "name": "product", "mountPath": "/etc/muster/product", "readOnly": true },
                            { "name": "key", "mountPath": "/etc/muster/key", "readOnly": true },
                        ],
                    }],
                    "volumes": [
                        { "name": "product", "configMap": { "name": "cluster-check" } },
                        { "name": "key", "secret": { "secretName": "cluster-check-key", "defaultMode": 288 } },
                    ],
                },
            },
        },
    })
}
