//! Prometheus, Alertmanager and the pager.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Part, Probe};
use crate::{
    cluster::link,
    config::StackConfig,
    place::Place,
    ports::{Ports, authority, url},
    process::Launch,
    secrets::write_private,
};

/// It starts after the services and stops before them, so that a start or a stop of the stack causes no page.
pub(super) const PROMETHEUS: Part = Part {
    needs: &["alertmanager", "orders", "url-shortener", "email-consumer"],
    ports: &[("its API and pages", Ports::prometheus)],
    address: |ports| format!("{}/classic/graph", url(ports.prometheus())),
    prepare: |config| {
        Box::pin(async {
            let text = serde_json::to_string_pretty(&prometheus_config(config)).context("prometheus.yml")?;
            write_config(config, "prometheus", &text)
        })
    },
    ..Part::new("prometheus", |config| Ok(prometheus(config)), Probe::Http(Ports::prometheus, "/-/ready"))
};

/// Prometheus on this machine, which scrapes the pods of a cluster.
pub(super) const PROMETHEUS_OF_DESK: Part = Part { needs: &["alertmanager", "cluster-link"], ..PROMETHEUS };

fn prometheus(config: &StackConfig) -> Launch {
    let dir = config.dir("prometheus");
    Launch::new("prometheus")
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg("--storage.tsdb.retention.time=7d")
        .arg("--storage.tsdb.retention.size=1GB")
        .arg(format!("--rules.alert.resend-delay={}s", config.profile.timing().resend_delay.as_secs()))
        .arg(format!("--web.listen-address={}", authority(config.ports.prometheus())))
}

/// The configuration as JSON, a subset of YAML.
fn prometheus_config(config: &StackConfig) -> Value {
    let ports = config.ports;
    let rules = config.checkout.root().join("deploy/monitoring/rules").join(config.profile.to_string());
    let interval = format!("{}s", config.profile.timing().scrape_interval.as_secs());
    let targets = |port| json!([{ "targets": [authority(port)] }]);
    let scrape_configs = match config.place {
        Place::Local => json!([
            { "job_name": "orders", "static_configs": targets(ports.orders_admin()) },
            { "job_name": "url-shortener", "static_configs": targets(ports.url_shortener_admin()) },
            { "job_name": "email-consumer", "static_configs": targets(ports.email_consumer_admin()) },
        ]),
        // The file names the job of each pod.
        Place::Cluster => json!([
            { "job_name": "pods", "file_sd_configs": [{ "files": [link::targets_file(config)] }] },
        ]),
    };
    json!({
        "global": { "scrape_interval": interval, "scrape_timeout": "2s", "evaluation_interval": interval },
        "rule_files": [rules.join("*.yml")],
        "alerting": { "alertmanagers": [{ "static_configs": targets(ports.alertmanager()) }] },
        "scrape_configs": scrape_configs,
    })
}

/// Groups, silences and routes alerts; all of them go to `muster pager`.
pub(super) const ALERTMANAGER: Part = Part {
    needs: &["pager"],
    ports: &[("its API", Ports::alertmanager)],
    address: |ports| url(ports.alertmanager()),
    prepare: |config| Box::pin(async { write_config(config, "alertmanager", &alertmanager_config(config)?) }),
    ..Part::new(
        "alertmanager",
        |config| Ok(alertmanager(config)),
        Probe::Http(Ports::alertmanager, "/-/ready"),
    )
};

/// The pager's address in the configuration under version control.
const PLACEHOLDER: &str = "http://pager:7419";

/// The configuration of the profile, with the pager of this stack.
fn alertmanager_config(config: &StackConfig) -> anyhow::Result<String> {
    let path = format!("deploy/monitoring/alertmanager/{}.yml", config.profile);
    let text = fs::read_to_string(config.checkout.root().join(&path)).with_context(|| path.clone())?;
    ensure!(text.contains(PLACEHOLDER), "{path} does not contain {PLACEHOLDER}");
    Ok(text.replace(PLACEHOLDER, &url(config.ports.pager())))
}

fn alertmanager(config: &StackConfig) -> Launch {
    let dir = config.dir("alertmanager");
    Launch::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", dir.join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={}", authority(config.ports.alertmanager())))
        // An empty address turns clustering off.
        .arg("--cluster.listen-address=")
}

/// Receives alerts from Alertmanager and keeps them for `muster pager`.
pub(super) const PAGER: Part = Part {
    ports: &[("Alertmanager", Ports::pager)],
    address: |ports| format!("{}  `muster pager` shows it", url(ports.pager())),
    ..Part::new("pager", pager, Probe::Http(Ports::pager, "/health"))
};

/// The file with the events of alerts, one JSON object per line.
pub(crate) fn pages_file(state_dir: &Path) -> PathBuf {
    state_dir.join("pages.jsonl")
}

fn pager(config: &StackConfig) -> anyhow::Result<Launch> {
    let timing = config.profile.timing();
    Ok(Launch::this_program("pager-receiver")?
        .args(["--port", &config.ports.pager().to_string(), "--file"])
        .arg(pages_file(&config.state_dir))
        .args(["--heartbeat-within-s", &timing.heartbeat_within.as_secs().to_string()])
        .args(["--alertmanager", &url(config.ports.alertmanager())])
        .args(["--absent-for-s", &timing.absent_for.as_secs().to_string()]))
}

/// Writes `NAME.yml` in the directory of the part.
fn write_config(config: &StackConfig, name: &str, text: &str) -> anyhow::Result<()> {
    let dir = config.dir(name);
    fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    write_private(&dir.join(format!("{name}.yml")), text)
}
