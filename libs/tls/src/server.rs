//! The certificate of a TLS server: loaded from files, and replaced while the server runs.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context as _;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_cert::{Certificate, der::Decode as _};

/// A server's certificate and its private key. Handshakes use the last one that was loaded.
pub struct ServerCertificate {
    files: Files,
    served: RwLock<Served>,
}

#[derive(Clone)]
struct Served {
    key: Arc<CertifiedKey>,
    expires_at: i64,
}

#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The contents of both files.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl ServerCertificate {
    /// Loads the files of `TLS_CERT_FILE` and `TLS_KEY_FILE`. A certificate that has expired is loaded: clients refuse it.
    ///
    /// # Errors
    /// A file cannot be read or used, or the key is not that of the certificate. The error names the file.
    pub fn load(certificate: &Path, key: &Path) -> anyhow::Result<(Arc<Self>, Changes)> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let contents = files.read()?;
        let served = RwLock::new(files.parse(&contents)?);
        let certificate = Arc::new(Self { files, served });
        let handled = Some(contents);
        let changes = Changes { certificate: Arc::clone(&certificate), seen: handled.clone(), handled };
        Ok((certificate, changes))
    }

    /// Returns the settings of a server with this certificate.
    ///
    /// It resumes no session: a client that resumes one does not verify the certificate again.
    pub fn server_config(self: &Arc<Self>) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites of both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config
    }

    /// Returns when the certificate expires, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.served().expires_at
    }

    fn served(&self) -> Served {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served().key)
    }
}

/// Prints the files only.
impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Files { certificate, key } = &self.files;
        f.debug_struct("ServerCertificate")
            .field("certificate", certificate)
            .field("key", key)
            .finish_non_exhaustive()
    }
}

/// Finds changes of the files of a [`ServerCertificate`].
pub struct Changes {
    certificate: Arc<ServerCertificate>,
    /// What the last [`check`](Self::check) read; `None` when a file could not be read.
    seen: Option<Contents>,
    /// What was last loaded or refused.
    handled: Option<Contents>,
}

impl Changes {
    /// Reads the files. Loads them when they have changed and two checks in a row read the same, because the files are replaced one after the
    /// other. Returns whether it loaded them.
    ///
    /// # Errors
    /// The changed files cannot be used; the old certificate stays. The same contents fail once.
    pub fn check(&mut self) -> anyhow::Result<bool> {
        let read = self.certificate.files.read();
        let contents = read.as_ref().ok().cloned();
        let is_stable = contents == self.seen;
        self.seen.clone_from(&contents);
        if !is_stable || contents == self.handled {
            return Ok(false);
        }
        self.handled = contents;
        let served = self.certificate.files.parse(&read?)?;
        *self.certificate.served.write().unwrap_or_else(PoisonError::into_inner) = served;
        Ok(true)
    }
}

impl Files {
    fn read(&self) -> anyhow::Result<Contents> {
        let read = |path: &Path, setting: &str| {
            fs::read(path).with_context(|| {
                format!(
                    "cannot read {}; set {setting} to a PEM file that this process can read",
                    path.display()
                )
            })
        };
        Ok(Contents {
            certificate: read(&self.certificate, "TLS_CERT_FILE")?,
            key: read(&self.key, "TLS_KEY_FILE")?,
        })
    }

    fn parse(&self, contents: &Contents) -> anyhow::Result<Served> {
        let chain =
            CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, pem::Error>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).with_context(|| {
            format!(
                "{} holds no certificate; TLS_CERT_FILE needs a PEM file with `BEGIN CERTIFICATE`, the server's certificate \
                 first, then those of intermediate authorities",
                self.certificate.display()
            )
        })?;
        let expires_at = expires_at(&chain[0]).with_context(|| {
            format!("the first certificate in {} is malformed", self.certificate.display())
        })?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).with_context(|| {
            format!(
                "{} holds no private key; TLS_KEY_FILE needs a PEM file with `BEGIN PRIVATE KEY`",
                self.key.display()
            )
        })?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider()).with_context(|| {
            format!(
                "{} is not the key of the first certificate in {}; set TLS_KEY_FILE and TLS_CERT_FILE to files that were issued \
                 together",
                self.key.display(),
                self.certificate.display()
            )
        })?;
        Ok(Served { key: Arc::new(key), expires_at })
    }
}

/// Returns when a certificate expires, in seconds since 1970.
fn expires_at(certificate: &[u8]) -> anyhow::Result<i64> {
    let certificate = Certificate::from_der(certificate)?;
    let not_after = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    Ok(i64::try_from(not_after.as_secs())?)
}
