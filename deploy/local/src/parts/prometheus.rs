//! Prometheus, which reads the metrics of every service and watches the rules of the checkout.

use std::fs;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};

use crate::part::{Part, Step};
use crate::ports::{authority, url};
use crate::process::Launch;
use crate::profile::Profile;
use crate::readiness::http_ok;
use crate::stack::StackConfig;

/// The metrics store of a stack.
pub(crate) struct Prometheus {
    pub(crate) config: Arc<StackConfig>,
    pub(crate) profile: Profile,
}

impl Prometheus {
    fn url(&self) -> String {
        url(self.config.ports.prometheus())
    }

    /// The configuration, as JSON, which is YAML.
    fn config(&self) -> Value {
        let ports = self.config.ports;
        let services = [
            ("orders", ports.orders_admin()),
            ("url-shortener", ports.url_shortener_admin()),
            ("email-consumer", ports.email_consumer_admin()),
        ];
        let scrapes = services.map(|(service, port)| {
            json!({ "job_name": service, "static_configs": [{ "targets": [authority(port)] }] })
        });
        let rules =
            self.config.checkout.root().join("deploy/monitoring/rules").join(self.profile.to_string());
        let interval = format!("{}s", self.profile.scrape_interval().as_secs());
        json!({
            "global": { "scrape_interval": interval, "scrape_timeout": "2s", "evaluation_interval": interval },
            "rule_files": [rules.join("*.yml")],
            "alerting": { "alertmanagers": [
                { "static_configs": [{ "targets": [authority(ports.alertmanager())] }] }
            ]},
            "scrape_configs": scrapes,
        })
    }
}

impl Part for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    /// It begins when there is something to see and somebody to tell, and ends before that does: a stack that starts or
    /// stops pages nobody.
    fn needs(&self) -> &'static [&'static str] {
        &["alertmanager", "orders", "url-shortener", "email-consumer"]
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("its API and pages", self.config.ports.prometheus())]
    }

    fn address(&self) -> String {
        format!("{}/classic/graph", self.url())
    }

    fn prepare(&self) -> Step<'_> {
        Box::pin(async {
            let dir = self.config.dir(self.name());
            fs::create_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
            let text = serde_json::to_string_pretty(&self.config()).context("the configuration")?;
            fs::write(dir.join("prometheus.yml"), text).context("prometheus.yml cannot be written")
        })
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let dir = self.config.dir(self.name());
        Ok(Launch::new("prometheus")
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg("--storage.tsdb.retention.time=7d")
            .arg("--storage.tsdb.retention.size=1GB")
            .arg(format!("--rules.alert.resend-delay={}s", self.profile.resend_delay().as_secs()))
            .arg(format!("--web.listen-address={}", authority(self.config.ports.prometheus()))))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/-/ready", self.url())).await })
    }
}
