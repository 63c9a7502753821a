//! `muster demo` as a job in the cluster: it uses the addresses of the services, which distribute its connections over the pods.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::kubectl::{apply, kubectl};
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
        apply(&job(&name, image, demo)).await?;
        let client = Self { name };
        let end = Instant::now() + TIMEOUT;
        while client.count("ready").await? == 0 && client.is_running().await? {
            ensure!(Instant::now() < end, "{} does not start", client.name);
            sleep(POLL).await;
        }
        Ok(client)
    }

    /// Whether it has not ended.
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
        ensure!(self.count("succeeded").await? > 0, "{} failed: see above", self.name);
        Ok(())
    }

    async fn count(&self, what: &str) -> anyhow::Result<u32> {
        let path = format!("jsonpath={{.status.{what}}}");
        let count = kubectl(&["get", "job", &self.name, "--output", &path]).await?;
        Ok(count.parse().unwrap_or_default())
    }
}

/// The manifest of the job.
fn job(name: &str, image: &str, demo: &[&str]) -> String {
    let args = [&["demo", "--at=/etc/muster/product/product.toml"][..], demo].concat();
    let manifest = include_str!("client-job.yaml").replace("$NAME", name).replace("$IMAGE", image);
    manifest.replace("$ARGS", &json!(args).to_string())
}
