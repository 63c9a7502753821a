//! Parts that run on a Java virtual machine, and the two processes of this program that serve them: schema registry, mailbox with its
//! keeper, Zipkin with its OTLP receiver.

use loadtest::smtp::Smtp;

use super::{Part, Probe};
use crate::{
    config::StackConfig,
    ports::{Ports, authority, url},
    process::{Launch, java},
    readiness::http_ok,
};

/// The database, the role and the password of the schema registry have this name.
const REGISTRY_DATABASE: &str = "apicurio";

/// Apicurio Registry: schemas behind Confluent's API, stored in `PostgreSQL`.
pub(super) const REGISTRY: Part = Part {
    needs: &["postgres"],
    ports: &[("clients", Ports::registry)],
    address: Ports::registry_url,
    ..Part::new("registry", registry, Probe::Http(Ports::registry, "/apis/ccompat/v7/subjects"))
};

fn registry(config: &StackConfig) -> anyhow::Result<Launch> {
    let database = format!("jdbc:postgresql://127.0.0.1:{}/{REGISTRY_DATABASE}", config.ports.postgres());
    Ok(java(160, &config.dir("tmp"))
        .arg("-Dquarkus.http.host=127.0.0.1")
        .arg(format!("-Dquarkus.http.port={}", config.ports.registry()))
        // Its default pool opens 20 connections, of the 100 that all services share.
        .args(
            ["initial-size=1", "min-size=1", "max-size=8"]
                .map(|it| format!("-Dapicurio.datasource.jdbc.{it}")),
        )
        .arg("-jar")
        .arg(config.checkout.parts_dir().join("registry/apicurio-registry-app-3.0.9-runner.jar"))
        .env("APICURIO_STORAGE_KIND", "sql")
        .env("APICURIO_STORAGE_SQL_KIND", "postgresql")
        .env("APICURIO_DATASOURCE_URL", database)
        .env("APICURIO_DATASOURCE_USERNAME", REGISTRY_DATABASE)
        .env("APICURIO_DATASOURCE_PASSWORD", config.secrets.random(REGISTRY_DATABASE)?))
}

/// `GreenMail`: an SMTP server that keeps every mail in memory and serves it over IMAP and HTTP.
pub(super) const MAILBOX: Part = Part {
    ports: &[("SMTP", Ports::smtp), ("IMAP", Ports::imap), ("its API", Ports::mailbox_api)],
    address: |ports| {
        let (smtp, imap, api) = (ports.smtp(), ports.imap(), url(ports.mailbox_api()));
        format!("smtp://127.0.0.1:{smtp}  imap :{imap}  {api}")
    },
    ..Part::new(
        "mailbox",
        |config| Ok(mailbox(config)),
        Probe::Action(|config| {
            Box::pin(async {
                Smtp::connect(&authority(config.ports.smtp())).await?;
                http_ok(&format!("{}/api/service/readiness", url(config.ports.mailbox_api()))).await
            })
        }),
    )
};

/// Heap for about 60,000 mails of email-consumer: each takes 1.5 times its text. With 128 MiB, it died after 20,000.
const MAILBOX_HEAP_MIB: u16 = 384;

/// Without this setting Jakarta Mail looks the class up in the jar for each part of each mail, while `GreenMail` holds the lock of all
/// deliveries: half of the cost of a mail.
const STREAM_PROVIDER: &str =
    "-Djakarta.mail.util.StreamProvider=org.eclipse.angus.mail.util.MailStreamProvider";

fn mailbox(config: &StackConfig) -> Launch {
    let ports = config.ports;
    java(MAILBOX_HEAP_MIB, &config.dir("tmp"))
        .args(["smtp", "imap", "api"].map(|protocol| format!("-Dgreenmail.{protocol}.hostname=127.0.0.1")))
        .arg(format!("-Dgreenmail.smtp.port={}", ports.smtp()))
        .arg(format!("-Dgreenmail.imap.port={}", ports.imap()))
        .arg(format!("-Dgreenmail.api.port={}", ports.mailbox_api()))
        .args([STREAM_PROVIDER, "-Dgreenmail.auth.disabled", "-jar"])
        .arg(config.checkout.parts_dir().join("greenmail.jar"))
}

/// Purges the mailbox before its memory is full.
pub(super) const MAILBOX_KEEPER: Part = Part {
    needs: &["mailbox"],
    address: |_| "purges the mailbox before it is full".to_owned(),
    ..Part::new(
        "mailbox-keeper",
        |config| {
            Ok(Launch::this_program("mailbox-keeper")?
                .args(["--imap", &authority(config.ports.imap())])
                .args(["--api-url", &url(config.ports.mailbox_api())]))
        },
        Probe::Runs,
    )
};

pub(super) const ZIPKIN: Part = Part {
    ports: &[("its API and pages", Ports::zipkin)],
    address: |ports| format!("{}/zipkin/", url(ports.zipkin())),
    ..Part::new("zipkin", |config| Ok(zipkin(config)), Probe::Http(Ports::zipkin, "/health"))
};

fn zipkin(config: &StackConfig) -> Launch {
    java(128, &config.dir("tmp"))
        .arg("-Darmeria.ports[0].ip=127.0.0.1")
        .arg(format!("-Darmeria.ports[0].port={}", config.ports.zipkin()))
        .arg("-Darmeria.ports[0].protocols[0]=http")
        // Its own DNS resolver listens on every interface.
        .args(["-Dcom.linecorp.armeria.useJdkDnsResolver=true", "-jar"])
        .arg(config.checkout.parts_dir().join("zipkin.jar"))
        .env("MEM_MAX_SPANS", "50000")
}

/// Receives spans as OTLP and sends them to Zipkin.
pub(super) const OTLP_RECEIVER: Part = Part {
    needs: &["zipkin"],
    ports: &[("exporters of spans", Ports::otlp)],
    address: |ports| url(ports.otlp()),
    ..Part::new(
        "otlp-receiver",
        |config| {
            Ok(Launch::this_program("otlp-receiver")?
                .args(["--listen", &authority(config.ports.otlp())])
                .args(["--zipkin-url", &url(config.ports.zipkin())]))
        },
        Probe::Http(Ports::otlp, "/health"),
    )
};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loadtest::imap::mailbox_status;

    use super::*;
    use crate::{
        checkout::Checkout,
        mailbox_keeper::{Bounds, keep},
        ports::ReservedPorts,
        readiness::until_ok,
    };

    /// Together 170 MB, as much as 38,000 mails of email-consumer.
    const MAILS: u32 = 900;
    const LINES_OF_EACH: usize = 2_400;

    #[tokio::test]
    async fn more_mails_than_128_mib_hold_are_accepted_and_then_purged() {
        let slot = ReservedPorts::take().unwrap();
        let home = std::env::temp_dir().join(format!("muster-mailbox-{}", std::process::id()));
        let config = StackConfig::prepare(Checkout::find().unwrap(), home, slot.ports).unwrap();
        let _server = mailbox(&config).start_child(&config.state_dir.join("mailbox.log")).unwrap();
        until_ok(Duration::from_mins(1), || MAILBOX.probe(&config)).await.unwrap();
        let (imap, api) = (authority(config.ports.imap()), url(config.ports.mailbox_api()));
        let left = async || Ok::<_, anyhow::Error>(mailbox_status("ada@example.com", &imap).await?.n_mails);

        let line = "x".repeat(78) + "\r\n";
        let mail = format!("Subject: long\r\n\r\n{}", line.repeat(LINES_OF_EACH));
        let mut smtp = Smtp::connect(&authority(config.ports.smtp())).await.unwrap();
        for _ in 0..MAILS {
            smtp.send("muster@example.com", "ada@example.com", &mail).await.unwrap();
        }
        assert_eq!(left().await.unwrap(), MAILS);

        let bounds = Bounds { bound: MAILS - 1, most: u32::MAX, quiet_s: 1, every_s: 1 };
        let mailbox = loadtest::mailbox::Mailbox::new(&api).unwrap();
        let keeper = keep(&imap, &mailbox, bounds);
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
