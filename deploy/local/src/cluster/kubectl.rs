//! Calls of `kubectl`.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use super::NAMESPACE;

/// Timeout of one call. Calls that wait for a condition have their own, shorter timeout.
const TIMEOUT: Duration = Duration::from_mins(12);

/// Runs `kubectl` in the namespace and returns its output; the error contains its standard error.
pub(super) async fn kubectl(args: &[&str]) -> anyhow::Result<String> {
    run(args, "").await
}

/// Applies a manifest. Refuses unknown fields.
pub(super) async fn apply(manifest: &str) -> anyhow::Result<String> {
    run(&["apply", "--validate=strict", "--filename=-"], manifest).await
}

async fn run(args: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = Command::new("kubectl")
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
