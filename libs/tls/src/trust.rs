//! Trusted certificate authorities of a process, for each TLS client.

use std::{fmt, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use pem::{EncodeConfig, LineEnding, Pem};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::Config;

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
    pub fn load(config: &Config) -> anyhow::Result<Self> {
        let mut store = RootCertStore::empty();
        // Unreadable files of the system, and certificates that rustls refuses, are skipped: their servers fail as signed by an
        // unknown authority.
        let system = rustls_native_certs::load_native_certs().certs;
        let mut roots: Vec<_> = system.into_iter().filter(|root| store.add(root.clone()).is_ok()).collect();
        for path in config.tls_extra_ca_file.iter().filter(|path| !path.as_os_str().is_empty()) {
            for root in read(path)? {
                let unusable = || format!("a certificate in {} cannot be used", path.display());
                store.add(root.clone()).with_context(unusable)?;
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

    /// Returns the certificates of the authorities as PEM, for clients that do not use rustls.
    pub fn pem(&self) -> String {
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let text =
            |root: &CertificateDer<'_>| pem::encode_config(&Pem::new("CERTIFICATE", root.as_ref()), config);
        self.roots.iter().map(text).collect()
    }
}

/// Prints only the number of certificates.
impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let roots: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).with_context(|| {
            format!("cannot read certificates from {shown}; TLS_EXTRA_CA_FILE needs PEM files")
        })?;
    ensure!(
        !roots.is_empty(),
        "{shown} holds no certificate; TLS_EXTRA_CA_FILE needs PEM files with `BEGIN CERTIFICATE`"
    );
    Ok(roots)
}
