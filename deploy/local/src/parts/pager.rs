//! The pager: this program itself, taking alerts from Alertmanager.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::part::{Part, Step};
use crate::ports;
use crate::process::Launch;
use crate::profile::Profile;
use crate::readiness::http_ok;
use crate::site::Site;

/// What stands in for a phone.
pub(crate) struct Pager {
    pub(crate) site: Arc<Site>,
    pub(crate) profile: Profile,
}

/// The address that Alertmanager is given.
pub(super) fn url(site: &Site) -> String {
    ports::url(site.ports.pager())
}

/// The file that keeps what the pager was told, one JSON object on each line.
pub(crate) fn file(home: &std::path::Path) -> PathBuf {
    home.join("pages.jsonl")
}

impl Part for Pager {
    fn name(&self) -> &'static str {
        "pager"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        vec![("Alertmanager", self.site.ports.pager())]
    }

    fn address(&self) -> String {
        format!("{}  `muster pager` shows it", url(&self.site))
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let this_program = std::env::current_exe().context("the path of this program")?;
        Ok(Launch::new(this_program)
            .args(["pager-receiver", "--port", &self.site.ports.pager().to_string(), "--file"])
            .arg(file(&self.site.home))
            .args(["--heartbeat-within-s", &self.profile.heartbeat_within().as_secs().to_string()])
            .args(["--alertmanager", &ports::url(self.site.ports.alertmanager())])
            .args(["--absent-for-s", &self.profile.absent_for().as_secs().to_string()]))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async { http_ok(&format!("{}/health", url(&self.site))).await })
    }
}
