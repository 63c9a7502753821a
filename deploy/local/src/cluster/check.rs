//! Deploys the product to a cluster and tests it under load: pods are deleted, the database and the broker restart, a new version is rolled
//! out. Clients place orders and follow links at the same time, and reconcile afterwards.

use std::{fmt::Display, num::NonZeroU32, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::time::{Instant, sleep};

use super::{
    NAMESPACE,
    client::Client,
    kubectl::{apply, kubectl},
    secrets,
};
use crate::{
    checkout::Checkout,
    console::{print, print_indented, seconds},
    place::kept_secrets,
};

const SERVICES: [&str; 3] = ["orders", "url-shortener", "email-consumer"];

/// Parts whose pod can be deleted without a failed request. Mailbox and trace store keep in memory what the clients read afterwards, so
/// they are not in this list.
const STATELESS_PARTS: [&str; 2] = ["registry", "otel-collector"];

/// Parts with one pod, without which requests fail and need retries.
const STATEFUL_PARTS: [&str; 2] = ["postgres", "kafka"];

/// The version in the rendered manifests.
const RENDERED_VERSION: &str = "0.1.0";

/// The images of this workspace.
const PROGRAMS: [&str; 4] = ["orders", "url-shortener", "email-consumer", "muster"];

/// Time limit for a rollout.
const ROLL_OUT: &str = "--timeout=300s";

/// Time limit for a job.
const JOB: Duration = Duration::from_mins(5);

/// Duration of each load, in seconds.
const LOAD_SECONDS: u32 = 120;

/// Arguments of `muster cluster-check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The overlay: `kind` or `airgapped`.
    #[arg(long, env = "OVERLAY", default_value = "kind", value_parser = ["kind", "airgapped"])]
    overlay: String,
    /// The version to deploy. The images of this checkout must exist with this tag.
    #[arg(long, env = "TAG", default_value = "0.1.0")]
    tag: String,
    /// The version to roll out under load; default: the same version again. The images of the services must exist with this tag.
    #[arg(long, env = "NEXT_TAG")]
    next_tag: Option<String>,
    /// Orders per second.
    #[arg(long, env = "RATE", default_value_t = NonZeroU32::new(10).expect("it is not zero"))]
    rate: NonZeroU32,
}

/// One check.
struct Run<'a> {
    args: &'a Args,
    manifest: String,
    begun: Instant,
}

/// Runs the check; fails at the first unexpected result.
pub(crate) async fn run(checkout: &Checkout, args: &Args) -> anyhow::Result<()> {
    let path = checkout.root().join(format!("deploy/k8s/rendered/{}.yaml", args.overlay));
    let manifest = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let manifest = with_version(&manifest, &PROGRAMS, RENDERED_VERSION, &args.tag);
    let run = Run { args, manifest, begun: Instant::now() };

    run.log("Deploy");
    print_indented(kubectl(&["get", "nodes"]).await?.lines());
    run.deploy(&secrets::manifest(&kept_secrets(checkout), NAMESPACE)?.to_string()).await?;
    run.log("Ready. Demo: one order from the request to the trace");
    run.client("demo", &[]).await?.finish().await?;
    run.log("The demo passed");

    run.log("Under load: delete one pod of each service and of each stateless part");
    run.under_load("pods", true, run.delete_pods(&[&SERVICES[..], &STATELESS_PARTS].concat())).await?;
    run.log("Under load: roll out a new version");
    run.under_load("version", true, run.roll_out()).await?;
    run.log(
        "Under load: restart database and broker; requests may fail and are retried, no order may be lost",
    );
    run.under_load("parts", false, run.delete_pods(&STATEFUL_PARTS)).await?;

    run.log("Running pods");
    print_indented(kubectl(&["get", "pods,hpa,pdb"]).await?.lines());
    run.log("The check passed");
    Ok(())
}

impl Run<'_> {
    fn log(&self, what: impl Display) {
        print(format_args!("\n[{}] {what}", seconds(self.begun.elapsed())));
    }

    async fn deploy(&self, secrets: &str) -> anyhow::Result<()> {
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {NAMESPACE} }}\n");
        apply(&namespace).await?;
        apply(secrets).await?;
        self.apply_version(&self.manifest).await?;
        for workload in
            ["statefulset/postgres", "statefulset/kafka", "deployment/registry", "deployment/mailbox"]
        {
            kubectl(&["rollout", "status", workload, ROLL_OUT]).await?;
            self.log(format_args!("{workload} is ready"));
        }
        self.wait_for_services().await
    }

    /// Upgrades: deletes the jobs of the last version, and applies the manifest.
    async fn apply_version(&self, manifest: &str) -> anyhow::Result<()> {
        let migrations = SERVICES.map(|service| format!("{service}-migration"));
        let jobs: Vec<&str> = migrations.iter().map(String::as_str).chain(["topics"]).collect();
        kubectl(&[&["delete", "job", "--ignore-not-found", "--wait"], jobs.as_slice()].concat()).await?;
        apply(manifest).await?;
        for job in jobs {
            let job = format!("job/{job}");
            wait_for_job(&job).await?;
            self.log(format_args!("{job} is done"));
        }
        Ok(())
    }

    async fn wait_for_services(&self) -> anyhow::Result<()> {
        for service in SERVICES {
            let deployment = format!("deployment/{service}");
            kubectl(&["rollout", "status", &deployment, ROLL_OUT]).await?;
            // The autoscaler starts the second pod.
            kubectl(&[
                "wait",
                "--for=jsonpath={.status.conditions[?(@.type==\"Available\")].status}=True",
                &deployment,
                ROLL_OUT,
            ])
            .await?;
            self.wait_for_two(service).await?;
            self.log(format_args!("{deployment} is ready"));
        }
        Ok(())
    }

    async fn wait_for_two(&self, service: &str) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_mins(3);
        loop {
            let path = "jsonpath={.status.availableReplicas}";
            let available = kubectl(&["get", "deployment", service, "--output", path]).await?;
            if available.parse().unwrap_or(0) >= 2 {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{service} has {available} available pods, not two");
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn client(&self, name: &str, demo: &[&str]) -> anyhow::Result<Client> {
        Client::start(name, &format!("localhost/muster/muster:{}", self.args.tag), demo).await
    }

    /// Causes a disturbance while a client places orders and follows a link.
    async fn under_load(
        &self,
        name: &str,
        uninterrupted: bool,
        disturbance: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let rate = self.args.rate.get();
        let (orders, rate) = (format!("--orders={}", rate * LOAD_SECONDS), format!("--rate={rate}"));
        let mut demo = vec![orders.as_str(), rate.as_str()];
        if uninterrupted {
            demo.push("--uninterrupted");
        }
        let client = self.client(name, &demo).await?;
        disturbance.await?;
        let in_time = client.is_running().await?;
        self.log(if in_time { "Done, still under load" } else { "Done, after the end of the load" });
        client.finish().await?;
        ensure!(in_time, "the load ended before the disturbance: this cluster is too slow");
        Ok(())
    }

    async fn delete_pods(&self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            let selector =
                format!("--selector=app.kubernetes.io/name={name},app.kubernetes.io/component!=migration");
            let pods =
                kubectl(&["get", "pods", &selector, "--output=jsonpath={.items[*].metadata.name}"]).await?;
            let pod = pods.split_whitespace().next().with_context(|| format!("{name} has no pod"))?;
            kubectl(&["delete", "pod", pod, "--wait", "--timeout=120s"]).await?;
            self.log(format_args!("{pod} is deleted"));
            let kind = if STATEFUL_PARTS.contains(name) { "statefulset" } else { "deployment" };
            kubectl(&["rollout", "status", &format!("{kind}/{name}"), ROLL_OUT]).await?;
            self.log(format_args!("{kind}/{name} is complete again"));
        }
        Ok(())
    }

    async fn roll_out(&self) -> anyhow::Result<()> {
        if let Some(tag) = &self.args.next_tag {
            self.apply_version(&with_version(&self.manifest, &SERVICES, &self.args.tag, tag)).await?;
        } else {
            for service in SERVICES {
                kubectl(&["rollout", "restart", &format!("deployment/{service}")]).await?;
            }
        }
        for service in SERVICES {
            kubectl(&["rollout", "status", &format!("deployment/{service}"), ROLL_OUT]).await?;
            self.log(format_args!("{service} runs only the new version"));
        }
        Ok(())
    }
}

/// Waits for a job. `kubectl wait` waits for one condition, so it would wait for a failed job until the time limit.
async fn wait_for_job(job: &str) -> anyhow::Result<()> {
    let end = Instant::now() + JOB;
    let path = "jsonpath={.status.conditions[?(@.status==\"True\")].type}";
    loop {
        let conditions = kubectl(&["get", job, "--output", path]).await?;
        match end_of_job(&conditions) {
            Some("Complete") => return Ok(()),
            Some(_) => {
                let log =
                    kubectl(&["logs", job, "--tail=20"]).await.unwrap_or_else(|error| format!("{error:#}"));
                bail!("{job} failed; its log ends with\n{log}");
            }
            None => ensure!(Instant::now() < end, "{job} is not done after {} s", JOB.as_secs()),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The first true condition that ends a job: a failing job deletes its pods before it has the condition `Failed`.
fn end_of_job(conditions: &str) -> Option<&str> {
    conditions.split_whitespace().find(|name| ["Complete", "Failed", "FailureTarget"].contains(name))
}

/// Returns the manifest with another version of some programs.
fn with_version(manifest: &str, programs: &[&str], from: &str, to: &str) -> String {
    programs.iter().fold(manifest.to_owned(), |manifest, program| {
        let image = |tag: &str| format!("image: localhost/muster/{program}:{tag}\n");
        manifest.replace(&image(from), &image(to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_replaces_the_images_of_the_services_only() {
        let manifest = "image: localhost/muster/orders:0.1.0\nimage: localhost/muster/kafka:0.1.0\n";
        let next = with_version(manifest, &SERVICES, "0.1.0", "0.1.1");
        assert_eq!(next, "image: localhost/muster/orders:0.1.1\nimage: localhost/muster/kafka:0.1.0\n");
    }

    #[test]
    fn a_tag_is_replaced_as_a_whole() {
        let manifest = "image: localhost/muster/muster:0.1.0\nimage: localhost/muster/muster:0.1.0-abc\n";
        let next = with_version(manifest, &PROGRAMS, "0.1.0", "0.1.0-def");
        assert_eq!(
            next,
            "image: localhost/muster/muster:0.1.0-def\nimage: localhost/muster/muster:0.1.0-abc\n"
        );
    }

    #[test]
    fn a_failed_job_is_recognized() {
        assert_eq!(end_of_job(""), None);
        assert_eq!(end_of_job("Suspended"), None);
        assert_eq!(end_of_job("SuccessCriteriaMet Complete"), Some("Complete"));
        assert_eq!(end_of_job("FailureTarget"), Some("FailureTarget"));
        assert_eq!(end_of_job("FailureTarget Failed"), Some("FailureTarget"));
    }
}
