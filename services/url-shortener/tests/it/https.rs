//! The API over TLS beside the API without: handshakes use the last certificate that could be loaded.

#![expect(clippy::float_cmp, reason = "counts and whole seconds are exact")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testkit::{Authority, Builder, CertificateFiles, Database, ServerCertificate, wait_for};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use crate::service::{PUBLIC_URL, Service};

const SOON: Duration = Duration::from_secs(90);
const HOST: &str = "127.0.0.1";
const EXPIRY: &str = "tls_certificate_expiry_timestamp_seconds";
const FAILURES: &str = "tls_certificate_reload_failures_total";
const HEALTHY: &str = "HTTP/1.1 404 Not Found";

fn with_tls(process: Builder, files: &CertificateFiles) -> Builder {
    process
        .env("HTTPS_ADDR", "127.0.0.1:0")
        .env("TLS_CERT_FILE", &files.certificate)
        .env("TLS_KEY_FILE", &files.key)
}

async fn start(certificate: &ServerCertificate) -> (Service, CertificateFiles) {
    let database = Database::create("url_shortener").await;
    let url = database.url();
    let files = certificate.files();
    let settings = |process| with_tls(process, &files).env("DATABASE_URL", url);
    let service = Service::start_with(database, settings).await;
    (service, files)
}

struct Connection(TlsStream<TcpStream>);

impl Connection {
    async fn open(service: &Service, authority: &Authority) -> std::io::Result<Self> {
        let mut config = authority.trust().client_config();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tcp = TcpStream::connect(service.process.https_addr()).await?;
        let host = ServerName::try_from(HOST).unwrap();
        Ok(Self(TlsConnector::from(std::sync::Arc::new(config)).connect(host, tcp).await?))
    }

    fn certificate(&self) -> Vec<u8> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// Sends a GET, and returns the status line of the response.
    async fn get(&mut self) -> std::io::Result<String> {
        self.0.write_all(format!("GET /missing HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await?;
        let mut response = String::new();
        while !response.ends_with('}') {
            let mut bytes = [0; 4_096];
            let n = timeout(SOON, self.0.read(&mut bytes)).await??;
            if n == 0 {
                break;
            }
            response.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
        Ok(response.lines().next().unwrap_or_default().to_owned())
    }
}

/// Waits until a new connection has another certificate, and checks that each new connection works meanwhile.
async fn wait_for_another(service: &Service, authority: &Authority, old: &[u8]) -> Connection {
    wait_for("the new certificate", SOON, async || {
        let mut connection = Connection::open(service, authority).await.unwrap();
        assert_eq!(connection.get().await.unwrap(), HEALTHY);
        (connection.certificate() != old).then_some(connection)
    })
    .await
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64().floor()
}

#[tokio::test]
async fn a_replaced_certificate_is_served_without_a_restart_or_a_dropped_connection() {
    let authority = Authority::new();
    let expiry = SystemTime::now() + Duration::from_hours(48);
    let (service, files) = start(&authority.certificate(HOST)).await;
    let mut before = Connection::open(&service, &authority).await.unwrap();
    assert_eq!(before.get().await.unwrap(), HEALTHY);
    assert_eq!(before.0.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    authority.certificate_until(HOST, expiry).replace(&files);
    let after = wait_for_another(&service, &authority, &before.certificate()).await;

    assert_ne!(after.certificate(), before.certificate());
    assert_eq!(before.get().await.unwrap(), HEALTHY);
    assert_eq!(service.metric(EXPIRY).await, seconds(expiry));
    assert_eq!(service.metric(FAILURES).await, 0.0);
    assert_eq!(service.follow("missing").await.status, 404);
}

#[tokio::test]
async fn broken_files_keep_the_old_certificate_and_count_once() {
    let authority = Authority::new();
    let (service, files) = start(&authority.certificate(HOST)).await;
    let certificate = Connection::open(&service, &authority).await.unwrap().certificate();
    let failures = async |count: f64| {
        wait_for("a failure to be counted", SOON, async || {
            (service.metric(FAILURES).await == count).then_some(())
        })
        .await;
        let mut connection = Connection::open(&service, &authority).await.unwrap();
        assert_eq!(connection.get().await.unwrap(), HEALTHY);
        assert_eq!(connection.certificate(), certificate);
    };

    std::fs::write(&files.certificate, "-----BEGIN NONSENSE-----").unwrap();
    failures(1.0).await;
    authority.certificate(HOST).replace(&files);
    std::fs::write(&files.key, authority.certificate(HOST).key).unwrap();
    failures(2.0).await;
    std::fs::remove_file(&files.key).unwrap();
    failures(3.0).await;
    for path in [&files.certificate, &files.key] {
        assert!(service.process.logs().contains(path.to_str().unwrap()), "{}", path.display());
    }

    authority.certificate(HOST).replace(&files);
    wait_for_another(&service, &authority, &certificate).await;
    assert_eq!(service.metric(FAILURES).await, 3.0);
}

#[tokio::test]
async fn clients_refuse_an_expired_certificate_until_it_is_replaced() {
    let authority = Authority::new();
    let (service, files) = start(&authority.certificate(HOST)).await;
    let mut before = Connection::open(&service, &authority).await.unwrap();
    let old = before.certificate();

    let expiry = SystemTime::now() - Duration::from_secs(2);
    authority.certificate_until(HOST, expiry).replace(&files);
    let refusal =
        wait_for("a refusal", SOON, async || Connection::open(&service, &authority).await.err()).await;

    assert!(tls::explain(&refusal).unwrap().contains("expired"), "{refusal}");
    assert_eq!(service.metric(EXPIRY).await, seconds(expiry));
    assert_eq!(before.get().await.unwrap(), HEALTHY, "an open connection stays");

    authority.certificate(HOST).replace(&files);
    let connection =
        wait_for("a new certificate", SOON, async || Connection::open(&service, &authority).await.ok()).await;
    assert_ne!(connection.certificate(), old);
}

#[tokio::test]
async fn nothing_runs_after_a_request_with_connection_close_over_tls() {
    let authority = Authority::new();
    let (service, _files) = start(&authority.certificate(HOST)).await;
    let mut connection = Connection::open(&service, &authority).await.unwrap();

    let close = format!("HEAD /missing HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    let late = format!("GET /missing HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    connection.0.write_all(format!("{close}{late}").as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // A connection that is cut off ends without TLS's `close_notify`, which is an error of the read.
    drop(timeout(SOON, connection.0.read_to_end(&mut received)).await.unwrap());

    let received = String::from_utf8(received).unwrap();
    assert_eq!(received.matches("HTTP/1.1").count(), 1, "{received}");
    assert!(received.contains("connection: close"), "{received}");
}

#[tokio::test]
async fn settings_that_cannot_work_stop_start_up_with_the_file_or_the_setting() {
    let authority = Authority::new();
    let good = authority.certificate(HOST).files();
    let missing = good.certificate.with_extension("missing");
    let empty = good.certificate.with_extension("empty");
    std::fs::write(&empty, "").unwrap();
    let other = authority.certificate(HOST).files();
    for (certificate, key, expected) in [
        (&missing, &good.key, [missing.to_str().unwrap(), "TLS_CERT_FILE"]),
        (&good.certificate, &missing, [missing.to_str().unwrap(), "TLS_KEY_FILE"]),
        (&empty, &good.key, [empty.to_str().unwrap(), "BEGIN CERTIFICATE"]),
        (&good.certificate, &empty, [empty.to_str().unwrap(), "BEGIN PRIVATE KEY"]),
        (&good.certificate, &other.key, [other.key.to_str().unwrap(), "issued together"]),
    ] {
        let files = CertificateFiles { certificate: certificate.clone(), key: key.clone() };
        let log = refusal(|process| with_tls(process, &files)).await;
        assert!(expected.iter().all(|text| log.contains(text)), "{expected:?} is not in {log}");
    }
    let log = refusal(|process| process.env("TLS_CERT_FILE", &good.certificate)).await;
    assert!(log.contains("not set: HTTPS_ADDR, TLS_KEY_FILE"), "{log}");
}

async fn refusal(settings: impl FnOnce(Builder) -> Builder) -> String {
    let process = crate::settings::process().await.env("LINKS_PUBLIC_URL", PUBLIC_URL);
    settings(process).expect_refusal().await
}
