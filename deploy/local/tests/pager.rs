//! The pager's receiver with a real Alertmanager: what Alertmanager does not tell, the receiver finds out.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use testkit::wait_for;

const SOON: Duration = Duration::from_secs(30);

/// An alert that nothing inhibits here.
const OTHER_SERVICE: &str = "RedirectsLatencyBurn";

/// Waits of `deploy/monitoring/alertmanager.yaml`, so short that a group is looked at several times a second.
const CONFIG: &str = "
route: { receiver: pager, group_by: [alertname, service, slo], group_wait: 100ms, group_interval: 200ms, repeat_interval: 4h }
receivers: [{ name: pager, webhook_configs: [{ url: 'http://127.0.0.1:PORT/alerts', send_resolved: true }] }]
";

/// Ended when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn spawn(command: &mut Command) -> Process {
    Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// A receiver and the Alertmanager that calls it.
struct Pager {
    dir: PathBuf,
    port: u16,
    alertmanager_port: u16,
    _receiver: Process,
    alertmanager: Option<Process>,
    firing_since: BTreeMap<&'static str, DateTime<Utc>>,
}

impl Pager {
    /// What is absent at Alertmanager for so many seconds has ended.
    async fn start(name: &str, absent_for_s: u32) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pager-{name}"));
        fs::remove_dir_all(&dir).unwrap_or_default();
        fs::create_dir_all(&dir).unwrap();
        let [port, alertmanager_port] = free_ports();
        let receiver = spawn(
            Command::new(env!("CARGO_BIN_EXE_muster"))
                .args([
                    "pager-receiver",
                    "--port",
                    &port.to_string(),
                    "--heartbeat-within-s",
                    "3600",
                    "--file",
                ])
                .arg(dir.join("pages.jsonl"))
                .args(["--alertmanager", &format!("http://127.0.0.1:{alertmanager_port}")])
                .args(["--absent-for-s", &absent_for_s.to_string()]),
        );
        let mut pager = Self {
            dir,
            port,
            alertmanager_port,
            _receiver: receiver,
            alertmanager: None,
            firing_since: BTreeMap::new(),
        };
        pager.start_alertmanager().await;
        pager
    }

    /// Starts Alertmanager with its rules of inhibition, and with none of the alerts that it had before.
    async fn start_alertmanager(&mut self) {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring/alertmanager.yaml");
        let committed = fs::read_to_string(committed).unwrap();
        let (_, inhibit_rules) = committed.split_once("inhibit_rules:").unwrap();
        let config = format!("{CONFIG}inhibit_rules:{inhibit_rules}").replace("PORT", &self.port.to_string());
        let file = self.dir.join("alertmanager.yml");
        fs::write(&file, config).unwrap();
        self.alertmanager = Some(spawn(
            Command::new("prometheus-alertmanager")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", self.dir.join("alertmanager").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{}", self.alertmanager_port))
                .arg("--cluster.listen-address="),
        ));
        for url in
            [format!("{}/-/ready", self.alertmanager_url()), format!("http://127.0.0.1:{}/health", self.port)]
        {
            wait_for(&url, SOON, async || {
                testkit::client().get(&url).send().await.ok()?.error_for_status().ok()
            })
            .await;
        }
    }

    fn alertmanager_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.alertmanager_port)
    }

    /// Tells Alertmanager, as Prometheus does, that an alert fires, since when it began to, or that it ended.
    async fn tell(&mut self, alert: &'static str, firing: bool) {
        let now = Utc::now();
        let starts_at = *self.firing_since.entry(alert).or_insert(now);
        if !firing {
            self.firing_since.remove(alert);
        }
        let service = if alert == OTHER_SERVICE { "url-shortener" } else { "orders" };
        let labels = json!({ "alertname": alert, "service": service, "severity": "page", "slo": "final" });
        let lasting = if firing { Duration::from_hours(1) } else { Duration::ZERO };
        let times = [starts_at, now + lasting].map(|time| time.to_rfc3339());
        let alerts = json!([{ "labels": labels, "startsAt": times[0], "endsAt": times[1] }]);
        let url = format!("{}/api/v2/alerts", self.alertmanager_url());
        let answer = testkit::client().post(url).json(&alerts).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Waits until Alertmanager has an alert in this state: `active`, `suppressed`, or none.
    async fn wait_for_state(&self, alert: &str, state: Option<&str>) {
        let url = format!("{}/api/v2/alerts?filter=alertname={alert}", self.alertmanager_url());
        wait_for(&format!("{alert} to be {state:?}"), SOON, async || {
            let alerts: Value = testkit::client().get(&url).send().await.ok()?.json().await.ok()?;
            (alerts[0]["status"]["state"].as_str() == state).then_some(())
        })
        .await;
    }

    /// What was told about an alert.
    fn told(&self, alert: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.join("pages.jsonl")).unwrap_or_default();
        let notices = text.split_inclusive('\n').filter_map(|line| serde_json::from_str::<Value>(line).ok());
        notices.filter(|notice| notice["alert"] == alert).collect()
    }

    async fn wait_for_told(&self, alert: &str, statuses: &[&str]) {
        wait_for(&format!("{alert} to be told as {statuses:?}"), SOON, async || {
            let told = self.told(alert);
            told.iter()
                .map(|notice| notice["status"].as_str().unwrap())
                .eq(statuses.iter().copied())
                .then_some(())
        })
        .await;
    }

    /// Lets an alert of another group begin and end. That takes longer than the interval of groups, so that each was looked at meanwhile.
    async fn tell_all_of_another_service(&mut self, statuses: &[&str]) {
        self.tell(OTHER_SERVICE, true).await;
        self.wait_for_told(OTHER_SERVICE, &statuses[..statuses.len() - 1]).await;
        self.tell(OTHER_SERVICE, false).await;
        self.wait_for_told(OTHER_SERVICE, statuses).await;
    }

    /// A burn pages, then `TargetDown` inhibits it.
    async fn inhibit_a_burn(&mut self) {
        self.tell("OrdersFinalBurn", true).await;
        self.wait_for_told("OrdersFinalBurn", &["firing"]).await;
        self.tell("TargetDown", true).await;
        self.wait_for_state("OrdersFinalBurn", Some("suppressed")).await;
        self.wait_for_told("TargetDown", &["firing"]).await;
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// What ADR 0025 rests on. When this fails, Alertmanager tells both by itself, and nobody has to ask.
#[tokio::test]
async fn alertmanager_tells_neither_the_end_of_an_inhibited_alert_nor_that_it_begins_again() {
    let mut pager = Pager::start("silent", 3_600).await;
    pager.inhibit_a_burn().await;
    pager.tell("OrdersFinalBurn", false).await;
    pager.wait_for_state("OrdersFinalBurn", None).await;
    pager.tell_all_of_another_service(&["firing", "resolved"]).await;
    pager.tell("TargetDown", false).await;
    pager.wait_for_told("TargetDown", &["firing", "resolved"]).await;
    pager.tell("OrdersFinalBurn", true).await;
    pager.wait_for_state("OrdersFinalBurn", Some("active")).await;
    pager.tell_all_of_another_service(&["firing", "resolved", "firing", "resolved"]).await;
    pager.wait_for_told("OrdersFinalBurn", &["firing"]).await;
}

/// One alert goes on through a restart of Alertmanager, and one ends meanwhile. Both are of different services.
#[tokio::test]
async fn who_asks_ends_a_page_that_ended_while_inhibited_and_begins_it_again_and_a_restart_ends_none() {
    let mut pager = Pager::start("asking", 3).await;
    pager.inhibit_a_burn().await;
    pager.tell(OTHER_SERVICE, true).await;
    pager.wait_for_told(OTHER_SERVICE, &["firing"]).await;

    // The restarted Alertmanager has nothing until it is told again, as Prometheus does with what still fires.
    pager.alertmanager = None;
    pager.start_alertmanager().await;
    pager.tell("TargetDown", true).await;
    pager.tell("OrdersFinalBurn", true).await;
    pager.wait_for_told(OTHER_SERVICE, &["firing", "resolved"]).await;
    assert_eq!(pager.told(OTHER_SERVICE)[1]["found"], "no longer firing at Alertmanager");
    for open in ["TargetDown", "OrdersFinalBurn"] {
        pager.wait_for_told(open, &["firing"]).await;
    }

    pager.tell("OrdersFinalBurn", false).await;
    pager.wait_for_told("OrdersFinalBurn", &["firing", "resolved"]).await;
    let end = pager.told("OrdersFinalBurn").remove(1);
    assert_eq!(end["found"], "ended while it was inhibited by TargetDown of orders", "{end}");
    pager.wait_for_told("TargetDown", &["firing"]).await;

    pager.tell("TargetDown", false).await;
    pager.wait_for_told("TargetDown", &["firing", "resolved"]).await;
    pager.tell("OrdersFinalBurn", true).await;
    pager.wait_for_told("OrdersFinalBurn", &["firing", "resolved", "firing"]).await;
}
