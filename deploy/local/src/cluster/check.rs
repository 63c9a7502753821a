//! Deploys the product, and does to it what clusters do: pods go and come, the database and the broker restart, a new version is
//! rolled out. Meanwhile clients place orders and follow links, and afterwards everything they were told has to be true.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::kubectl::{apply, kubectl};
use super::{NAMESPACE, kept_secrets, secrets};
use crate::checkout::Checkout;
use crate::console::{print, print_indented, seconds};

const SERVICES: [&str; 3] = ["orders", "url-shortener", "email-consumer"];

/// Parts whose pod may go without a request failing. Mailbox and trace store are not among them: they keep in memory what the
/// clients look at afterwards.
const DEFERRABLE_PARTS: [&str; 2] = ["registry", "otel-collector"];

/// Parts of which there is one, and without which requests have to be sent again.
const STATEFUL_PARTS: [&str; 2] = ["postgres", "kafka"];

/// The version in the rendered manifests.
const RENDERED_VERSION: &str = "0.1.0";

/// What is built from this workspace.
const PROGRAMS: [&str; 4] = ["orders", "url-shortener", "email-consumer", "muster"];

/// How long a roll-out may take.
const ROLL_OUT: &str = "--timeout=300s";

/// How long a job may take.
const JOB: Duration = Duration::from_mins(5);

/// How long each kind of disturbance is given, and so how long clients go on.
const PODS_SECONDS: u32 = 120;
const PARTS_SECONDS: u32 = 120;
const VERSION_SECONDS: u32 = 120;

/// What is deployed, and how hard it is tried.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) overlay: String,
    /// The version that is deployed.
    pub(crate) tag: String,
    /// The version that is rolled out; the same one again if there is none.
    pub(crate) next_tag: Option<String>,
    /// Orders each second.
    pub(crate) rate: u32,
}

/// A run of the plan.
struct Run<'a> {
    plan: &'a Plan,
    manifest: String,
    begun: Instant,
}

/// Carries the plan out; fails at the first claim that does not hold.
pub(crate) async fn run(checkout: &Checkout, plan: &Plan) -> anyhow::Result<()> {
    let path = checkout.root().join(format!("deploy/k8s/rendered/{}.yaml", plan.overlay));
    let manifest = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let manifest = with_version(&manifest, &PROGRAMS, RENDERED_VERSION, &plan.tag);
    let run = Run { plan, manifest, begun: Instant::now() };

    run.tell("Deploy");
    print_indented(kubectl(&["get", "nodes"]).await?.lines());
    run.deploy(&run.manifest, &secrets::manifest(&kept_secrets(checkout), NAMESPACE)?.to_string()).await?;
    run.tell("Ready. One order, from the request to the trace");
    run.client("demo", &[]).await?.finish().await?;
    run.tell("The demo passed");

    run.tell("Under load: one pod of each kind goes");
    run.under_load("pods", PODS_SECONDS, true, run.delete_pods(&[&SERVICES[..], &DEFERRABLE_PARTS].concat()))
        .await?;
    run.tell("Under load: a new version is rolled out");
    run.under_load("version", VERSION_SECONDS, true, run.roll_out()).await?;
    run.tell(
        "Under load: database and broker restart; requests may fail and are sent again, nothing may be lost",
    );
    run.under_load("parts", PARTS_SECONDS, false, run.delete_pods(&STATEFUL_PARTS)).await?;

    run.tell("What runs");
    print_indented(kubectl(&["get", "pods,hpa,pdb"]).await?.lines());
    run.tell("Everything held");
    Ok(())
}

impl Run<'_> {
    fn tell(&self, what: impl Display) {
        print(format_args!("\n[{}] {what}", seconds(self.begun.elapsed())));
    }

    async fn deploy(&self, manifest: &str, secrets: &str) -> anyhow::Result<()> {
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {NAMESPACE} }}\n");
        apply(&namespace).await?;
        apply(secrets).await?;
        self.apply_version(manifest).await?;
        for workload in
            ["statefulset/postgres", "statefulset/kafka", "deployment/registry", "deployment/mailbox"]
        {
            kubectl(&["rollout", "status", workload, ROLL_OUT]).await?;
            self.tell(format_args!("{workload} is ready"));
        }
        self.wait_for_services().await
    }

    /// As an upgrade goes: the jobs of the last version make room, then everything is applied.
    async fn apply_version(&self, manifest: &str) -> anyhow::Result<()> {
        let migrations = SERVICES.map(|service| format!("{service}-migration"));
        let jobs: Vec<&str> = migrations.iter().map(String::as_str).chain(["topics"]).collect();
        kubectl(&[&["delete", "job", "--ignore-not-found", "--wait"], jobs.as_slice()].concat()).await?;
        apply(manifest).await?;
        for job in jobs {
            let job = format!("job/{job}");
            done(&job).await?;
            self.tell(format_args!("{job} is done"));
        }
        Ok(())
    }

    async fn wait_for_services(&self) -> anyhow::Result<()> {
        for service in SERVICES {
            let deployment = format!("deployment/{service}");
            kubectl(&["rollout", "status", &deployment, ROLL_OUT]).await?;
            // The autoscaler makes the second one.
            kubectl(&[
                "wait",
                "--for=jsonpath={.status.conditions[?(@.type==\"Available\")].status}=True",
                &deployment,
                ROLL_OUT,
            ])
            .await?;
            self.wait_for_two(service).await?;
            self.tell(format_args!("{deployment} is ready"));
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
        Client::start(name, &format!("localhost/muster/muster:{}", self.plan.tag), demo).await
    }

    /// Disturbs while a client places orders and follows a link.
    async fn under_load(
        &self,
        name: &str,
        duration_s: u32,
        uninterrupted: bool,
        disturbance: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let (orders, rate) =
            (format!("--orders={}", self.plan.rate * duration_s), format!("--rate={}", self.plan.rate));
        let mut demo = vec![orders.as_str(), rate.as_str()];
        if uninterrupted {
            demo.push("--uninterrupted");
        }
        let client = self.client(name, &demo).await?;
        disturbance.await?;
        let in_time = client.is_running().await?;
        self.tell(if in_time { "Done, still under load" } else { "Done, but the load was over before" });
        client.finish().await?;
        ensure!(
            in_time,
            "the load did not last as long as what was to be seen under it: this cluster is too slow"
        );
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
            self.tell(format_args!("{pod} is gone"));
            let kind = if STATEFUL_PARTS.contains(name) { "statefulset" } else { "deployment" };
            kubectl(&["rollout", "status", &format!("{kind}/{name}"), ROLL_OUT]).await?;
            self.tell(format_args!("{kind}/{name} is whole again"));
        }
        Ok(())
    }

    async fn roll_out(&self) -> anyhow::Result<()> {
        if let Some(tag) = &self.plan.next_tag {
            self.apply_version(&with_version(&self.manifest, &SERVICES, &self.plan.tag, tag)).await?;
        } else {
            for service in SERVICES {
                kubectl(&["rollout", "restart", &format!("deployment/{service}")]).await?;
            }
        }
        for service in SERVICES {
            kubectl(&["rollout", "status", &format!("deployment/{service}"), ROLL_OUT]).await?;
            self.tell(format_args!("{service} runs the new version only"));
        }
        Ok(())
    }
}

/// Waits for a job. `kubectl wait` knows one condition, and would wait for a job that has failed until its time is over.
async fn done(job: &str) -> anyhow::Result<()> {
    let end = Instant::now() + JOB;
    let path = "jsonpath={.status.conditions[?(@.status==\"True\")].type}";
    loop {
        let conditions = kubectl(&["get", job, "--output", path]).await?;
        match Ended::of(&conditions) {
            Some(Ended::Complete) => return Ok(()),
            Some(Ended::Failed) => {
                let log =
                    kubectl(&["logs", job, "--tail=20"]).await.unwrap_or_else(|error| format!("{error:#}"));
                bail!("{job} failed; its log ends with\n{log}");
            }
            None => ensure!(Instant::now() < end, "{job} is not done after {} s", JOB.as_secs()),
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// How a job ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Complete,
    Failed,
}

impl Ended {
    /// Reads the conditions that hold. The first sign counts: a job that will fail ends its pods before it says `Failed`.
    fn of(conditions: &str) -> Option<Self> {
        conditions.split_whitespace().find_map(|condition| match condition {
            "Complete" => Some(Self::Complete),
            "Failed" | "FailureTarget" => Some(Self::Failed),
            _ => None,
        })
    }
}

/// The manifest with another version of some programs.
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
    fn a_new_version_is_one_of_the_services_and_of_nothing_else() {
        let manifest = "image: localhost/muster/orders:0.1.0\nimage: localhost/muster/kafka:0.1.0\n";
        let next = with_version(manifest, &SERVICES, "0.1.0", "0.1.1");
        assert_eq!(next, "image: localhost/muster/orders:0.1.1\nimage: localhost/muster/kafka:0.1.0\n");
    }

    #[test]
    fn a_tag_is_replaced_whole() {
        let manifest = "image: localhost/muster/muster:0.1.0\nimage: localhost/muster/muster:0.1.0-abc\n";
        let next = with_version(manifest, &PROGRAMS, "0.1.0", "0.1.0-def");
        assert_eq!(
            next,
            "image: localhost/muster/muster:0.1.0-def\nimage: localhost/muster/muster:0.1.0-abc\n"
        );
    }

    #[test]
    fn a_job_that_failed_is_not_waited_for() {
        assert_eq!(Ended::of(""), None);
        assert_eq!(Ended::of("Suspended"), None);
        assert_eq!(Ended::of("SuccessCriteriaMet Complete"), Some(Ended::Complete));
        assert_eq!(Ended::of("FailureTarget"), Some(Ended::Failed));
        assert_eq!(Ended::of("FailureTarget Failed"), Some(Ended::Failed));
    }
}
