//! The harness itself, against the parts of a test run.

#![expect(clippy::unwrap_used, reason = "test harness")]

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{Database, FaultProxy, Kafka, Mailbox, Topics, endpoints};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

#[tokio::test]
async fn a_database_is_empty_and_its_own() {
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

/// Speaks SMTP by hand, so that nothing is between the test and the server.
async fn send_mail(to: &str) {
    let server = (endpoints().smtp_host.as_str(), endpoints().smtp_port);
    let mut server = BufReader::new(TcpStream::connect(server).await.unwrap());
    let mail = format!("{MAIL}.");
    let mut line = String::new();
    server.read_line(&mut line).await.unwrap();
    for command in
        ["HELO test", "MAIL FROM:<shop@muster.local>", &format!("RCPT TO:<{to}>"), "DATA", &mail, "QUIT"]
    {
        server.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        line.clear();
        server.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(['2', '3']), "{command}: {line}");
    }
}

#[tokio::test]
async fn a_mail_is_found_and_decoded() {
    let address = format!("{}@example.com", uuid::Uuid::new_v4().simple());
    assert!(Mailbox::messages(&address).await.is_empty());

    send_mail(&address).await;

    let mails = Mailbox::wait_for(&address, 1).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].message_id(), "<mail-1@muster.local>");
    assert_eq!(mails[0].subject(), "Grüße");
    assert_eq!(mails[0].text().trim(), "Total: 9.98 €, a long line");
    assert_eq!(mails[0].html().trim(), "<p>Total</p>");
}
