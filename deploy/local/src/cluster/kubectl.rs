//! Calls of `kubectl`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use super::NAMESPACE;
use crate::{config::StackConfig, secrets::write_private};

/// Timeout of one call. Calls that wait for a condition have their own, shorter timeout.
const TIMEOUT: Duration = Duration::from_mins(12);

/// Runs `kubectl` in the namespace and returns its output; the error contains its standard error.
pub(super) async fn kubectl(args: &[&str]) -> anyhow::Result<String> {
    run(None, args, "").await
}

/// Applies a manifest. Refuses unknown fields.
pub(super) async fn apply(manifest: &str) -> anyhow::Result<String> {
    run(None, &APPLY, manifest).await
}

const APPLY: [&str; 3] = ["apply", "--validate=strict", "--filename=-"];

/// The cluster of an on-call desk: that of `KUBECONFIG` at the start of the desk, also if `KUBECONFIG` changes later.
#[derive(Debug)]
pub(crate) struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    pub(crate) fn of(config: &StackConfig) -> Self {
        Self { kubeconfig: config.dir("kubeconfig") }
    }

    /// Keeps the current context of `KUBECONFIG` for this desk.
    pub(super) async fn keep_current(&self) -> anyhow::Result<()> {
        let context = kubectl(&["config", "view", "--minify", "--flatten", "--raw"])
            .await
            .context("KUBECONFIG names no cluster: set it, or `kubectl config use-context`")?;
        write_private(&self.kubeconfig, &context)?;
        let namespace = format!("--namespace={NAMESPACE}");
        self.kubectl(&["config", "set-context", "--current", &namespace]).await.map(drop)
    }

    /// The file for `KUBECONFIG`, with the namespace of the product.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) async fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        run(Some(&self.kubeconfig), args, "").await
    }

    pub(super) async fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        run(Some(&self.kubeconfig), &APPLY, manifest).await
    }
}

async fn run(kubeconfig: Option<&Path>, args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new("kubectl");
    if let Some(path) = kubeconfig {
        command.env("KUBECONFIG", path);
    }
    let mut child = command
        .args(["--namespace", NAMESPACE])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("kubectl cannot be started: install it")?;
    let mut stdin = child.stdin.take().context("kubectl has no standard input")?;
    let exchange = async {
        // The end of this block closes the standard input.
        let write = async move { stdin.write_all(input.as_bytes()).await };
        let (written, output) = tokio::join!(write, child.wait_with_output());
        // A `kubectl` that fails early does not read its whole input, and gives the reason on standard error.
        output.and_then(|output| if output.status.success() { written.map(|()| output) } else { Ok(output) })
    };
    let output = timeout(TIMEOUT, exchange).await.context("kubectl does not end")?.context("kubectl")?;
    ensure!(
        output.status.success(),
        "kubectl {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
