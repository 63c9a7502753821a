//! Alertmanager, which groups, silences and routes alerts; here everybody's pager is `muster pager`.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, ensure};

use super::pager;
use crate::part::{Part, Step};
use crate::ports::{authority, url};
use crate::process::Launch;
use crate::profile::Profile;
use crate::readiness::http_ok;
use crate::stack::StackConfig;

/// The pager of the configuration in version control, which stands for any.
const ANY_PAGER: &str = "http://pager:7419";

/// The alert router of a stack.
pub(crate) struct Alertmanager {
    pub(crate) config: Arc<StackConfig>,
    pub(crate) profile: Profile,
}

impl Alertmanager {
    /// The configuration of the profile, with the pager of this stack.
    fn config(&self) -> anyhow::Result<String> {
        let path = format!("deploy/monitoring/alertmanager/{}.yml", self.profile);
        let text =
            fs::read_to_string(self.config.checkout.root().join(&path)).with_context(|| path.clone())?;
        ensure!(text.contains(ANY_PAGER), "{path} sends nothing to {ANY_PAGER}");
        Ok(text.replace(ANY_PAGER, &pager::url(&self.config)))
    }
}

impl Part for Alertmanager {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["pager"]
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("its API", self.config.ports.alertmanager())]
    }

    fn address(&self) -> String {
        url(self.config.ports.alertmanager())
    }

    fn prepare(&self) -> Step<'_> {
        Box::pin(async {
            let dir = self.config.dir(self.name());
            fs::create_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
            fs::write(dir.join("alertmanager.yml"), self.config()?)
                .context("alertmanager.yml cannot be written")
        })
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let dir = self.config.dir(self.name());
        Ok(Launch::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", dir.join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={}", authority(self.config.ports.alertmanager())))
            // An empty address keeps it from looking for others of its kind.
            .arg("--cluster.listen-address="))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/-/ready", self.address())).await })
    }
}
