//! Trusted certificate authorities of a process, for each TLS client.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _},
    },
};

use crate::Config;

/// Why the authorities of `TLS_EXTRA_CA_FILE` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is not PEM.
    #[error("cannot read certificates from {path}; TLS_EXTRA_CA_FILE needs PEM files")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The file is readable and holds no certificate.
    #[error("{0} holds no certificate; TLS_EXTRA_CA_FILE needs PEM files with `BEGIN CERTIFICATE`")]
    Empty(PathBuf),
    /// A certificate in the file is malformed.
    #[error("a certificate in {path} cannot be used")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The trusted certificate authorities. Clones share them.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<[CertificateDer<'static>]>,
    client: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts the authorities of the system and those of the settings.
    ///
    /// # Errors
    /// A file of the settings cannot be used. A system without authorities is not an error.
    pub fn load(config: &Config) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        // Unreadable files of the system, and certificates that rustls refuses, are skipped: their servers fail as signed by an
        // unknown authority.
        let system = rustls_native_certs::load_native_certs().certs;
        let mut roots: Vec<_> = system.into_iter().filter(|root| store.add(root.clone()).is_ok()).collect();
        for path in config.tls_extra_ca_file.iter().filter(|path| !path.as_os_str().is_empty()) {
            for root in read(path)? {
                store.add(root.clone()).map_err(|source| Error::Malformed { path: path.clone(), source })?;
                roots.push(root);
            }
        }
        Ok(Self::new(roots, store))
    }

    /// Trusts no authority: for connections without TLS.
    pub fn none() -> Self {
        Self::new(Vec::new(), RootCertStore::empty())
    }

    fn new(roots: Vec<CertificateDer<'static>>, store: RootCertStore) -> Self {
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites of both versions")
            .with_root_certificates(store)
            .with_no_client_auth();
        Self { roots: roots.into(), client: Arc::new(client) }
    }

    /// Returns the settings of a rustls client.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.client)
    }

    /// Starts the builder of an HTTP client, for `http` and `https`.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that gives a client its authorities"
    )]
    pub fn http(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder().tls_backend_preconfigured(self.client_config())
    }

    /// Returns the certificates of the authorities.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// Returns the same certificates as PEM, for clients that do not use rustls.
    pub fn pem(&self) -> String {
        self.roots.iter().map(|root| pem_text(root)).collect()
    }
}

/// Prints only the number of certificates.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let roots: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
    let roots = roots.map_err(unreadable)?;
    if roots.is_empty() { Err(Error::Empty(path.to_owned())) } else { Ok(roots) }
}

/// RFC 7468 §5.1, in lines of 64 characters. OpenSSL takes no empty line.
fn pem_text(certificate: &[u8]) -> String {
    let encoded = STANDARD.encode(certificate);
    let mut text = String::with_capacity(encoded.len() * 66 / 64 + 60);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
