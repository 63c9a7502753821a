//! The pager with a real Alertmanager: it reconciles open alerts that Alertmanager sends no notification about (ADR 0025).

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use testkit::wait_for;

const SOON: Duration = Duration::from_secs(90);

/// An alert that nothing inhibits here.
const OTHER_SERVICE: &str = "RedirectsLatencyBurn";

/// Waits of `deploy/monitoring/alertmanager.yaml`, so short that Alertmanager flushes a group several times a second.
const CONFIG: &str = "
route: { receiver: pager, group_by: [alertname, service, slo], group_wait: 100ms, group_interval: 200ms, repeat_interval: 4h }
receivers: [{ name: pager, webhook_configs: [{ url: 'http://127.0.0.1:PORT/alerts', send_resolved: true }] }]
";

/// A process that ends with this value.
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

/// A pager receiver and the Alertmanager that calls it.
struct Pager {
    dir: PathBuf,
    port: u16,
    alertmanager_port: u16,
    _receiver: Process,
    alertmanager: Option<Process>,
    firing_since: BTreeMap<&'static str, DateTime<Utc>>,
}

impl Pager {
    /// `absent_for_s`: an alert that Alertmanager lacks for this time has ended.
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

    /// Posts an alert to Alertmanager as Prometheus does: firing since its first post, or ended.
    async fn post_alert(&mut self, alert: &'static str, firing: bool) {
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

    /// The events that the pager keeps of an alert.
    fn events(&self, alert: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.join("pages.jsonl")).unwrap_or_default();
        let events = text.split_inclusive('\n').filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["alert"] == alert).collect()
    }

    async fn wait_for_events(&self, alert: &str, statuses: &[&str]) {
        wait_for(&format!("{alert} to have the events {statuses:?}"), SOON, async || {
            let events = self.events(alert);
            events
                .iter()
                .map(|event| event["status"].as_str().unwrap())
                .eq(statuses.iter().copied())
                .then_some(())
        })
        .await;
    }

    /// Fires and resolves an alert of another group. This takes longer than `group_interval`, so Alertmanager flushes every group meanwhile.
    async fn fire_and_resolve_another_service(&mut self, statuses: &[&str]) {
        self.post_alert(OTHER_SERVICE, true).await;
        self.wait_for_events(OTHER_SERVICE, &statuses[..statuses.len() - 1]).await;
        self.post_alert(OTHER_SERVICE, false).await;
        self.wait_for_events(OTHER_SERVICE, statuses).await;
    }

    /// A burn pages, then `TargetDown` inhibits it.
    async fn inhibit_a_burn(&mut self) {
        self.post_alert("OrdersFinalBurn", true).await;
        self.wait_for_events("OrdersFinalBurn", &["firing"]).await;
        self.post_alert("TargetDown", true).await;
        self.wait_for_state("OrdersFinalBurn", Some("suppressed")).await;
        self.wait_for_events("TargetDown", &["firing"]).await;
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// The premise of ADR 0025. If this fails, Alertmanager sends both by itself, and the reconciliation can go.
#[tokio::test]
async fn alertmanager_notifies_neither_of_the_end_of_an_inhibited_alert_nor_of_its_return() {
    let mut pager = Pager::start("silent", 3_600).await;
    pager.inhibit_a_burn().await;
    pager.post_alert("OrdersFinalBurn", false).await;
    pager.wait_for_state("OrdersFinalBurn", None).await;
    pager.fire_and_resolve_another_service(&["firing", "resolved"]).await;
    pager.post_alert("TargetDown", false).await;
    pager.wait_for_events("TargetDown", &["firing", "resolved"]).await;
    pager.post_alert("OrdersFinalBurn", true).await;
    pager.wait_for_state("OrdersFinalBurn", Some("active")).await;
    pager.fire_and_resolve_another_service(&["firing", "resolved", "firing", "resolved"]).await;
    pager.wait_for_events("OrdersFinalBurn", &["firing"]).await;
}

/// One alert continues through a restart of Alertmanager, one ends meanwhile. They are of different services.
#[tokio::test]
async fn reconciliation_ends_and_reopens_an_inhibited_page_and_an_alertmanager_restart_ends_none() {
    let mut pager = Pager::start("asking", 3).await;
    pager.inhibit_a_burn().await;
    pager.post_alert(OTHER_SERVICE, true).await;
    pager.wait_for_events(OTHER_SERVICE, &["firing"]).await;

    // The restarted Alertmanager has no alerts until Prometheus, here the test, sends them again.
    pager.alertmanager = None;
    pager.start_alertmanager().await;
    pager.post_alert("TargetDown", true).await;
    pager.post_alert("OrdersFinalBurn", true).await;
    pager.wait_for_events(OTHER_SERVICE, &["firing", "resolved"]).await;
    assert_eq!(pager.events(OTHER_SERVICE)[1]["found"], "no longer firing at Alertmanager");
    for open in ["TargetDown", "OrdersFinalBurn"] {
        pager.wait_for_events(open, &["firing"]).await;
    }

    pager.post_alert("OrdersFinalBurn", false).await;
    pager.wait_for_events("OrdersFinalBurn", &["firing", "resolved"]).await;
    let end = pager.events("OrdersFinalBurn").remove(1);
    assert_eq!(end["found"], "ended while it was inhibited by TargetDown of orders", "{end}");
    pager.wait_for_events("TargetDown", &["firing"]).await;

    pager.post_alert("TargetDown", false).await;
    pager.wait_for_events("TargetDown", &["firing", "resolved"]).await;
    pager.post_alert("OrdersFinalBurn", true).await;
    pager.wait_for_events("OrdersFinalBurn", &["firing", "resolved", "firing"]).await;
}
