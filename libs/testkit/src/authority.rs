//! TLS for tests: a private certificate authority, and a TLS proxy in front of a server without TLS.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tls::Trust;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::parts::scratch_dir;

/// A private certificate authority, and the file with its certificate.
#[derive(Debug)]
pub struct Authority(muster::Authority);

/// Files with a server's certificate and its private key.
#[derive(Debug)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A server's certificate and its private key, as PEM.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// Makes an authority.
    pub fn new() -> Self {
        Self(
            muster::Authority::open(&scratch_dir("authority"))
                .expect("a scratch directory can be written to"),
        )
    }

    /// Returns the file with its certificate, for `TLS_EXTRA_CA_FILE`.
    pub fn file(&self) -> &Path {
        self.0.file()
    }

    /// Returns a configuration that trusts this authority.
    pub fn trust(&self) -> Trust {
        let config = tls::Config { tls_extra_ca_file: vec![self.file().to_owned()] };
        Trust::load(&config).expect("the file is PEM")
    }

    /// Signs a certificate for `host`, a name or an address.
    pub fn certificate(&self, host: &str) -> ServerCertificate {
        self.certificate_until(host, SystemTime::now() + Duration::from_hours(24))
    }

    /// The same, with the time at which it expires.
    pub fn certificate_until(&self, host: &str, expires_at: SystemTime) -> ServerCertificate {
        let issued = self.0.issue("server of a test", &[host], expires_at).expect("the authority can sign");
        ServerCertificate { certificate: issued.certificate, key: issued.key }
    }
}

impl ServerCertificate {
    /// Writes it into files of a scratch directory, for `TLS_CERT_FILE` and `TLS_KEY_FILE`.
    pub fn files(&self) -> CertificateFiles {
        let dir = scratch_dir("certificate");
        let files = CertificateFiles { certificate: dir.join("tls.crt"), key: dir.join("tls.key") };
        self.replace(&files);
        files
    }

    /// Replaces the contents of such files.
    pub fn replace(&self, files: &CertificateFiles) {
        for (path, text) in [(&files.key, &self.key), (&files.certificate, &self.certificate)] {
            std::fs::write(path, text).expect("a scratch directory can be written to");
        }
    }

    /// Returns an acceptor of TLS handshakes with this certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("it is PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("it is PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
            .expect("the key is that of the certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Accepts TLS connections and forwards them without TLS, until it is dropped.
#[derive(Debug)]
pub struct TlsProxy {
    addr: SocketAddr,
    accepting: AbortHandle,
}

impl TlsProxy {
    /// Starts to forward to `upstream`, `host:port`.
    pub async fn start(upstream: impl Into<String>, server: &ServerCertificate) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let accepting = tokio::spawn(accept(listener, server.acceptor(), upstream.into())).abort_handle();
        Self { addr, accepting }
    }

    /// Returns its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, upstream: String) {
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
        // An error ends the connection: tests with another authority break it off.
        tokio::spawn(async move {
            let mut client = acceptor.accept(client).await?;
            let mut server = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut client, &mut server).await
        });
    }
}
