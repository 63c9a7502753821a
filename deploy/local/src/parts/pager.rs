//! The pager: this program itself, taking alerts from Alertmanager.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::part::{Part, Step};
use crate::ports;
use crate::process::Launch;
use crate::profile::Profile;
use crate::readiness::http_ok;
use crate::stack::StackConfig;

/// What stands in for a phone.
pub(crate) struct Pager {
    pub(crate) config: Arc<StackConfig>,
    pub(crate) profile: Profile,
}

/// The address that Alertmanager is given.
pub(super) fn url(config: &StackConfig) -> String {
    ports::url(config.ports.pager())
}

/// The file with the events of alerts, one JSON object per line.
pub(crate) fn file(home: &std::path::Path) -> PathBuf {
    home.join("pages.jsonl")
}

impl Part for Pager {
    fn name(&self) -> &'static str {
        "pager"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("Alertmanager", self.config.ports.pager())]
    }

    fn address(&self) -> String {
        format!("{}  `muster pager` shows it", url(&self.config))
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let this_program = std::env::current_exe().context("the path of this program")?;
        Ok(Launch::new(this_program)
            .args(["pager-receiver", "--port", &self.config.ports.pager().to_string(), "--file"])
            .arg(file(&self.config.state_dir))
            .args(["--heartbeat-within-s", &self.profile.heartbeat_within().as_secs().to_string()])
            .args(["--alertmanager", &ports::url(self.config.ports.alertmanager())])
            .args(["--absent-for-s", &self.profile.absent_for().as_secs().to_string()]))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/health", url(&self.config))).await })
    }
}
