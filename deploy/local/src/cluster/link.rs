//! `muster cluster-link`: the connection of an on-call desk with its cluster, as one process: `kubectl port-forward` to the gateway, `kubectl
//! proxy` for metrics, and the file of pods that Prometheus scrapes. It starts again what ends or hangs.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{NAMESPACE, gateway, relay::HEALTHY, scrape};
use crate::{
    config::StackConfig,
    console::{print_error, seconds},
    ports::{Ports, authority, url},
    readiness::http_client,
    secrets::write_private,
    signals::Interrupts,
};

/// The pause before a command starts again; doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A command that ran this long starts again without a longer pause.
const STABLE: Duration = Duration::from_mins(1);

/// How often the gateway is asked, how long it may take, and how often in a row it may fail: a new connection ends those of all parts, and a busy
/// machine is no reason for it.
const HEALTH_POLL: Duration = Duration::from_secs(5);
const HEALTH_WITHIN: Duration = Duration::from_secs(10);
const FAILURES: u32 = 6;

/// How often the pods are listed.
const DISCOVERY: Duration = Duration::from_secs(2);

/// The file of `file_sd_configs`.
pub(crate) fn targets_file(config: &StackConfig) -> PathBuf {
    config.state_dir.join("targets.json")
}

/// Arguments of `muster cluster-link`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first port of the desk.
    #[arg(long)]
    port_base: u16,
    /// The file for Prometheus.
    #[arg(long)]
    targets: PathBuf,
}

/// Runs until SIGTERM; its commands end with it, even if it is killed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let ports = Ports::from_base(args.port_base)?;
    let gateway = format!("deployment/{}", gateway::NAME);
    let namespace = ["--namespace".to_owned(), NAMESPACE.to_owned()];
    let port_forward = ["port-forward".to_owned(), "--address=127.0.0.1".to_owned(), gateway];
    let port_forward = namespace.into_iter().chain(port_forward).chain(gateway::forwards(ports)).collect();
    let proxy = vec![
        "proxy".to_owned(),
        format!("--port={}", ports.kube_api()),
        format!("--accept-paths={}", scrape::accepted_paths()),
        "--reject-methods=POST,PUT,PATCH,DELETE".to_owned(),
    ];
    tokio::select! {
        never = supervise(port_forward, || hangs(ports)) => never,
        never = supervise(proxy, std::future::pending) => never,
        never = discover(ports, &args.targets) => never,
        _ = interrupts.next() => Ok(()),
    }
}

/// Runs a command of `kubectl` again and again: when it has ended, or when `hangs` returns.
async fn supervise<F: Future<Output = ()>>(args: Vec<String>, hangs: impl Fn() -> F) -> anyhow::Result<()> {
    let what = format!("kubectl {}", args.join(" "));
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let mut child = start(&args)?;
        let end = tokio::select! {
            status = child.wait() => status.context("kubectl cannot be watched")?.to_string(),
            () = hangs() => "no answer".to_owned(),
        };
        child.kill().await.context("kubectl cannot be ended")?;
        if begun.elapsed() > STABLE {
            pause = FIRST_PAUSE;
        }
        print_error(format_args!("{what}: {end}; starts again in {}", seconds(pause)));
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// setpriv(1) lets the kernel kill it when this process ends.
fn start(args: &[String]) -> anyhow::Result<Child> {
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "kubectl"])
        .args(args)
        .stdin(Stdio::null())
        // It writes a line for each connection.
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("setpriv(1) cannot be run")
}

/// Returns when the gateway has failed several times in a row.
async fn hangs(ports: Ports) {
    let mut n_failures = 0;
    while n_failures < FAILURES {
        sleep(HEALTH_POLL).await;
        n_failures = if gateway_answers(ports).await.is_ok() { 0 } else { n_failures + 1 };
    }
}

/// Succeeds if the gateway answers through the port-forward.
pub(crate) async fn gateway_answers(ports: Ports) -> anyhow::Result<()> {
    let ask = async {
        let mut text = Vec::new();
        let stream = TcpStream::connect(authority(ports.gateway_health())).await?;
        stream.take(16).read_to_end(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = timeout(HEALTH_WITHIN, ask).await.context("the gateway does not answer")??;
    ensure!(text == HEALTHY, "the gateway does not answer through `kubectl port-forward`");
    Ok(())
}

/// Writes the file when the pods have changed. While the API server does not answer, the file stays.
async fn discover(ports: Ports, file: &Path) -> anyhow::Result<()> {
    let mut known = Value::Null;
    loop {
        if let Ok(pods) = list(ports).await {
            let targets = scrape::targets(&pods, &authority(ports.kube_api()));
            if targets != known {
                write_private(file, &targets.to_string())?;
                known = targets;
            }
        }
        sleep(DISCOVERY).await;
    }
}

async fn list(ports: Ports) -> anyhow::Result<Value> {
    let url = format!("{}{}", url(ports.kube_api()), scrape::list_path());
    let response = http_client().get(url).send().await.context("the API server does not answer")?;
    response
        .error_for_status()
        .context("the API server refuses the list of pods")?
        .json()
        .await
        .context("pods")
}
