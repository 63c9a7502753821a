//! The toolkit itself, with the parts of a test run.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use loadtest::smtp::Smtp;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Database, FaultProxy, Kafka, Mailbox, Process, Topics, endpoints, scratch_dir};

#[tokio::test]
async fn a_database_is_empty_and_isolated() {
    let (one, other) = tokio::join!(Database::create("one"), Database::create("one"));
    one.connect().await.batch_execute("CREATE TABLE t (n int)").await.unwrap();
    assert!(other.connect().await.query("SELECT n FROM t", &[]).await.is_err());

    let proxy = FaultProxy::start(Database::server()).await;
    let url = one.url_through(proxy.addr());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query("SELECT n FROM t", &[]).await.unwrap();
    proxy.cut();
    assert!(client.query("SELECT n FROM t", &[]).await.is_err());
}

#[tokio::test]
async fn a_topic_is_read_from_its_beginning_to_its_end() {
    let topics = Topics::create(&[("things", 3)]).await;
    let topic = topics.name("things");
    assert!(Kafka::read(topic, 0).await.is_empty());

    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &endpoints().kafka_bootstrap_servers).create().unwrap();
    for n in 0..20 {
        let payload = format!("payload {n}");
        let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some(&n.to_string()) });
        let record = FutureRecord::to(topic).partition(n % 3).key("key").payload(&payload).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }

    let records = Kafka::read(topic, 20).await;
    assert_eq!(records.len(), 20);
    for record in records {
        let n: i32 = record.headers["n"].parse().unwrap();
        assert_eq!(record.partition, n % 3);
        assert_eq!(record.key.as_deref(), Some("key"));
        assert_eq!(record.payload.unwrap(), format!("payload {n}").into_bytes());
    }
}

const MAIL: &str = "\
From: shop@muster.local\r\n\
To: someone\r\n\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
Message-ID: <mail-1@muster.local>\r\n\
Content-Type: multipart/alternative; boundary=b\r\n\
\r\n\
--b\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
Total: 9.98 =E2=82=AC, a long l=\r\nine\r\n\
--b\r\n\
Content-Type: text/html; charset=utf-8\r\n\
\r\n\
<p>Total</p>\r\n\
--b--\r\n";

#[tokio::test]
async fn a_mail_is_read_and_decoded() {
    let address = format!("{}@example.com", uuid::Uuid::new_v4().simple());
    assert!(Mailbox::messages(&address).await.is_empty());

    let server = format!("{}:{}", endpoints().smtp_host, endpoints().smtp_port);
    let mut smtp = Smtp::connect(&server).await.unwrap();
    smtp.send("shop@muster.local", &address, MAIL).await.unwrap();

    let mails = Mailbox::wait_for(&address, 1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].message_id(), "<mail-1@muster.local>");
    assert_eq!(mails[0].subject(), "Grüße");
    assert_eq!(mails[0].text().trim(), "Total: 9.98 €, a long line");
    assert_eq!(mails[0].html().trim(), "<p>Total</p>");
}

/// A script in place of a service, which is never ready.
fn script(directory: &Path, name: &str, commands: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_panic_in_a_join_kills_a_process_that_is_starting() {
    let directory = scratch_dir("join");
    let pid_file = directory.join("pid");
    let hangs =
        script(&directory, "hangs", &format!("echo $$ > {}; exec /bin/sleep 600", pid_file.display()));
    // It ends as soon as the other one runs.
    let fails = format!("until [ -s {} ]; do /bin/sleep 0.1; done; exit 1", pid_file.display());
    let fails = script(&directory, "fails", &fails);

    let start = tokio::spawn(async move {
        tokio::join!(Process::builder(hangs).spawn(), Process::builder(fails).spawn());
    });

    assert!(start.await.unwrap_err().is_panic());
    let pid = fs::read_to_string(pid_file).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {pid} still runs");
}
