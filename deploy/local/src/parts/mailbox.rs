//! `GreenMail`: takes every mail, keeps it in memory, and gives it out over IMAP and HTTP; and the keeper, which purges it.

use std::sync::Arc;

use anyhow::Context;

use super::jvm;
use crate::part::{Part, Step};
use crate::ports::{authority, url};
use crate::process::Launch;
use crate::readiness::{http_ok, smtp_greets};
use crate::stack::StackConfig;

/// Room for some 60,000 of our mails: each takes half as much again as its text. With 128 MiB, it died after 20,000.
const HEAP_MIB: u16 = 384;

/// Otherwise Jakarta Mail looks this class up in the jar for each part of each mail, while `GreenMail` holds the lock of all
/// deliveries: half of what a mail costs it.
const STREAM_PROVIDER: &str =
    "-Djakarta.mail.util.StreamProvider=org.eclipse.angus.mail.util.MailStreamProvider";

/// The mail server of a stack.
pub(crate) struct Mailbox {
    pub(crate) config: Arc<StackConfig>,
}

/// The address of the HTTP API that shows which mails arrived.
pub(crate) fn api_url(config: &StackConfig) -> String {
    url(config.ports.mailbox_api())
}

impl Part for Mailbox {
    fn name(&self) -> &'static str {
        "mailbox"
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        let ports = self.config.ports;
        vec![("SMTP", ports.smtp()), ("IMAP", ports.imap()), ("its API", ports.mailbox_api())]
    }

    fn address(&self) -> String {
        let ports = self.config.ports;
        format!("smtp://127.0.0.1:{}  imap :{}  {}", ports.smtp(), ports.imap(), api_url(&self.config))
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let ports = self.config.ports;
        Ok(jvm::java(HEAP_MIB, &self.config.dir("tmp"))
            .args(["smtp", "imap", "api"].map(|door| format!("-Dgreenmail.{door}.hostname=127.0.0.1")))
            .arg(format!("-Dgreenmail.smtp.port={}", ports.smtp()))
            .arg(format!("-Dgreenmail.imap.port={}", ports.imap()))
            .arg(format!("-Dgreenmail.api.port={}", ports.mailbox_api()))
            .args([STREAM_PROVIDER, "-Dgreenmail.auth.disabled", "-jar"])
            .arg(self.config.checkout.parts_dir().join("greenmail.jar")))
    }

    fn probe(&self) -> Step<'_> {
        Box::pin(async {
            smtp_greets(self.config.ports.smtp()).await?;
            http_ok(&format!("{}/api/service/readiness", api_url(&self.config))).await
        })
    }
}

/// Keeps the mail server's memory from filling: this program itself, with another command.
pub(crate) struct MailboxKeeper {
    pub(crate) config: Arc<StackConfig>,
}

impl Part for MailboxKeeper {
    fn name(&self) -> &'static str {
        "mailbox-keeper"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["mailbox"]
    }

    fn listens(&self) -> Vec<(&'static str, u16)> {
        Vec::new()
    }

    fn address(&self) -> String {
        "purges the mailbox before it is full".to_owned()
    }

    fn launch(&self) -> anyhow::Result<Launch> {
        let this_program = std::env::current_exe().context("the path of this program")?;
        Ok(Launch::new(this_program)
            .args(["mailbox-keeper", "--imap", &authority(self.config.ports.imap())])
            .args(["--api-url", &api_url(&self.config)]))
    }

    /// Nobody calls it, so it is ready when it runs.
    fn probe(&self) -> Step<'_> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loadtest::observe::standing;

    use super::*;
    use crate::checkout::Checkout;
    use crate::mailbox_keeper::{Bounds, keep};
    use crate::ports::ReservedPorts;
    use crate::readiness::until_ok;
    use crate::smtp::Smtp;

    /// Together 170 MB, as much as some 38,000 of our mails take.
    const MAILS: u32 = 900;
    const LINES_OF_EACH: usize = 2_400;

    #[tokio::test]
    async fn more_mails_than_128_mib_hold_are_taken_and_purged_once_it_is_quiet() {
        let slot = ReservedPorts::take().unwrap();
        let home = std::env::temp_dir().join(format!("muster-mailbox-{}", std::process::id()));
        let config = Arc::new(StackConfig::prepare(Checkout::find().unwrap(), home, slot.ports).unwrap());
        let mailbox = Mailbox { config: Arc::clone(&config) };
        let _server = mailbox.launch().unwrap().start_child(&config.state_dir.join("mailbox.log")).unwrap();
        until_ok(Duration::from_mins(1), || mailbox.probe()).await.unwrap();
        let (imap, api) = (authority(config.ports.imap()), api_url(&config));
        let left = async || Ok::<_, anyhow::Error>(standing("ada@example.com", &imap).await?.n_mails);

        let line = "x".repeat(78) + "\r\n";
        let mail = format!("Subject: long\r\n\r\n{}", line.repeat(LINES_OF_EACH));
        let mut smtp = Smtp::connect(config.ports.smtp()).await.unwrap();
        for _ in 0..MAILS {
            smtp.send("muster@example.com", "ada@example.com", &mail).await.unwrap();
        }
        assert_eq!(left().await.unwrap(), MAILS);

        let bounds = Bounds { bound: MAILS - 1, most: u32::MAX, quiet_s: 1, every_s: 1 };
        let keeper = keep(&imap, &api, bounds);
        let purged = until_ok(Duration::from_secs(30), async || {
            anyhow::ensure!(left().await? == 0, "nothing is purged");
            Ok(())
        });
        tokio::select! {
            () = keeper => {}
            purged = purged => purged.unwrap(),
        }
        // The connection of before still takes mails.
        smtp.send("muster@example.com", "ada@example.com", "Subject: one more\r\n").await.unwrap();
        assert_eq!(left().await.unwrap(), 1);
        std::fs::remove_dir_all(&config.state_dir).unwrap();
    }
}
