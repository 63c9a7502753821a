//! The listener with TLS, and the watch over its certificate.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::bail;
use rustls::ServerConfig;
use tls::{Changes, ServerCertificate};

use crate::metrics::{CERTIFICATE_EXPIRY, CERTIFICATE_RELOAD_FAILURES};

/// Interval between two checks of the files. A change that two checks in a row see is loaded.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The settings of the listener with TLS.
#[derive(Clone, Debug, clap::Args)]
// clap names a group after the type, and every crate has a `Config`; and it would take this text for that of the program.
#[group(skip)]
#[command(about = None, long_about = None)]
pub(super) struct Config {
    /// Address of the API over TLS, beside `HTTP_ADDR` or instead of it. Needs `TLS_CERT_FILE` and `TLS_KEY_FILE`.
    #[arg(long, env = "HTTPS_ADDR", value_name = "IP:PORT")]
    https_addr: Option<SocketAddr>,

    /// PEM file with the certificate for `HTTPS_ADDR`, followed by those of intermediate authorities. Loaded again when it changes.
    #[arg(long, env = "TLS_CERT_FILE", value_name = "PATH")]
    tls_cert_file: Option<PathBuf>,

    /// PEM file with the private key of that certificate. Loaded again when it changes.
    #[arg(long, env = "TLS_KEY_FILE", value_name = "PATH")]
    tls_key_file: Option<PathBuf>,
}

/// Where to listen with TLS, and with which certificate.
pub(super) struct Https {
    pub(super) address: SocketAddr,
    certificate: Arc<ServerCertificate>,
    changes: Changes,
}

impl Https {
    /// Loads the certificate; `None` without the settings.
    ///
    /// # Errors
    /// One of the settings is missing, or a file cannot be used.
    pub(super) fn load(config: &Config) -> anyhow::Result<Option<Self>> {
        let (address, certificate, key) =
            match (config.https_addr, &config.tls_cert_file, &config.tls_key_file) {
                (None, None, None) => return Ok(None),
                (Some(address), Some(certificate), Some(key)) => (address, certificate, key),
                (address, certificate, key) => {
                    let settings = [
                        ("HTTPS_ADDR", address.is_some()),
                        ("TLS_CERT_FILE", certificate.is_some()),
                        ("TLS_KEY_FILE", key.is_some()),
                    ];
                    let missing: Vec<_> =
                        settings.iter().filter(|(_, set)| !set).map(|(name, _)| *name).collect();
                    bail!(
                        "set all of HTTPS_ADDR, TLS_CERT_FILE and TLS_KEY_FILE, or none of them; not set: {}",
                        missing.join(", ")
                    );
                }
            };
        let (certificate, changes) = ServerCertificate::load(certificate, key)?;
        show_expiry(&certificate);
        telemetry::metrics::register(&[&CERTIFICATE_RELOAD_FAILURES]);
        Ok(Some(Self { address, certificate, changes }))
    }

    pub(super) fn server_config(&self) -> ServerConfig {
        self.certificate.server_config()
    }

    /// Loads the certificate again when its files have changed.
    pub(super) async fn reload(self) -> anyhow::Result<Infallible> {
        let Self { certificate, mut changes, .. } = self;
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let checked;
            // A read can block.
            (checked, changes) = tokio::task::spawn_blocking(move || (changes.check(), changes)).await?;
            match checked {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!(
                        expires_at = certificate.expires_at(),
                        "the server's certificate was replaced"
                    );
                    show_expiry(&certificate);
                }
                Err(error) => {
                    CERTIFICATE_RELOAD_FAILURES.inc();
                    let error = format!("{error:#}");
                    tracing::error!(error, "the server's new certificate cannot be used; the old one stays");
                }
            }
        }
    }
}

fn show_expiry(certificate: &ServerCertificate) {
    CERTIFICATE_EXPIRY.set(certificate.expires_at());
}
