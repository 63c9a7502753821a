//! Alertmanager, which groups and shows alerts; here it tells nobody.

use std::fs;
use std::sync::Arc;

use anyhow::Context;

use crate::part::{Part, Step};
use crate::ports::{authority, url};
use crate::process::Launch;
use crate::readiness::http_ok;
use crate::site::Site;

const CONFIG: &str = "\
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 1s
receivers:
  - name: nobody
";

/// The alert router of a stack.
pub(crate) struct Alertmanager {
    pub(crate) site: Arc<Site>,
}

impl Part for Alertmanager {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("its API", self.site.ports.alertmanager())]
    }

    fn address(&self) -> String {
        url(self.site.ports.alertmanager())
    }

    fn prepare(&self) -> Step<'_> {
        Box::pin(async {
            let dir = self.site.dir(self.name());
            fs::create_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
            fs::write(dir.join("alertmanager.yml"), CONFIG).context("alertmanager.yml cannot be written")
        })
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let dir = self.site.dir(self.name());
        Ok(Launch::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", dir.join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={}", authority(self.site.ports.alertmanager())))
            // An empty address keeps it from looking for others of its kind.
            .arg("--cluster.listen-address="))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/-/ready", self.address())).await })
    }
}
