//! `GreenMail`: takes every mail, keeps it in memory, and gives it out over IMAP and HTTP.

use std::sync::Arc;

use super::jvm;
use crate::part::{Part, Step};
use crate::ports::url;
use crate::process::Launch;
use crate::readiness::{http_ok, smtp_greets};
use crate::site::Site;

/// The mail server of a stack.
pub(crate) struct Mailbox {
    pub(crate) site: Arc<Site>,
}

/// The address of the HTTP API that shows which mails arrived.
pub(crate) fn api_url(site: &Site) -> String {
    url(site.ports.mailbox_api())
}

impl Part for Mailbox {
    fn name(&self) -> &'static str {
        "mailbox"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        let ports = self.site.ports;
        vec![("SMTP", ports.smtp()), ("IMAP", ports.imap()), ("its API", ports.mailbox_api())]
    }

    fn address(&self) -> String {
        let ports = self.site.ports;
        format!("smtp://127.0.0.1:{}  imap :{}  {}", ports.smtp(), ports.imap(), api_url(&self.site))
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let ports = self.site.ports;
        Ok(jvm::java(128, &self.site.dir("tmp"))
            .args(["smtp", "imap", "api"].map(|door| format!("-Dgreenmail.{door}.hostname=127.0.0.1")))
            .arg(format!("-Dgreenmail.smtp.port={}", ports.smtp()))
            .arg(format!("-Dgreenmail.imap.port={}", ports.imap()))
            .arg(format!("-Dgreenmail.api.port={}", ports.mailbox_api()))
            .args(["-Dgreenmail.auth.disabled", "-jar"])
            .arg(self.site.checkout.parts_dir().join("greenmail.jar")))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async {
            smtp_greets(self.site.ports.smtp()).await?;
            http_ok(&format!("{}/api/service/readiness", api_url(&self.site))).await
        })
    }
}
