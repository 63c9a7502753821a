//! The certificate authority of a stack, and the certificates that it issues to servers.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tls::ServerCertificate;

use crate::secrets::{Secrets, write_private};

const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CA_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// How long before it is issued a certificate is valid, for machines whose clock is behind.
const BACKDATED: Duration = Duration::from_hours(24);

/// The servers of a stack that have a certificate.
pub(crate) const SERVERS: [&str; 2] = ["url-shortener", "orders"];

/// The names and addresses of every server of a stack.
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// Validity of a certificate.
pub(crate) const LIFETIME: Duration = Duration::from_hours(90 * 24);

/// `muster up` renews a certificate that has less time left.
const RENEWED_BELOW: Duration = Duration::from_hours(30 * 24);

/// A private certificate authority, kept in a directory.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

/// A server's certificate and its private key, as PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// Opens the authority in `dir`, and makes it at first use.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        Self::of(&Secrets::open(dir)?)
    }

    pub(crate) fn of(secrets: &Secrets) -> anyhow::Result<Self> {
        let made = KeyPair::generate().context("a key cannot be generated")?;
        let key = secrets.get_or_make(CA_KEY, || made.serialize_pem())?;
        let file = secrets.path(CA_CERTIFICATE);
        let damaged = || format!("{} or {CA_KEY} beside it is damaged: move both away", file.display());
        let key = KeyPair::from_pem(&key).with_context(damaged)?;

        let now = SystemTime::now();
        let mut params = validity(now, now + CA_LIFETIME);
        params.distinguished_name.push(DnType::CommonName, "Muster local authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).with_context(damaged)?;
        secrets.get_or_make(CA_CERTIFICATE, || certificate.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), file })
    }

    /// Returns the file with its certificate, for `TLS_EXTRA_CA_FILE`.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Issues a certificate for a server with these names or addresses.
    pub fn issue(&self, server: &str, hosts: &[&str], expires_at: SystemTime) -> anyhow::Result<Issued> {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = validity(SystemTime::now().min(expires_at), expires_at);
        params.subject_alt_names =
            CertificateParams::new(hosts).context("a host is invalid")?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, server);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().context("a key cannot be generated")?;
        let certificate = params.signed_by(&key, &self.issuer).context("the certificate cannot be signed")?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn validity(from: SystemTime, to: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = (from - BACKDATED).into();
    params.not_after = to.into();
    params
}

/// The files of a server's certificate and its private key.
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Returns the files of a server, which are issued at first use.
pub(crate) fn files(secrets: &Secrets, server: &str) -> anyhow::Result<Files> {
    let files = Files {
        certificate: secrets.path(&format!("{server}.crt")),
        key: secrets.path(&format!("{server}.key")),
    };
    if !files.certificate.exists() || !files.key.exists() {
        renew(secrets, server, LIFETIME)?;
    }
    Ok(files)
}

/// Issues a new certificate into the files of a server, which loads it without a restart.
pub(crate) fn renew(secrets: &Secrets, server: &str, valid_for: Duration) -> anyhow::Result<()> {
    let issued = Authority::of(secrets)?.issue(server, &HOSTS, SystemTime::now() + valid_for)?;
    write_private(&secrets.path(&format!("{server}.key")), &issued.key)?;
    write_private(&secrets.path(&format!("{server}.crt")), &issued.certificate)
}

/// Renews the certificates that expire soon or cannot be read.
pub(crate) fn renew_expiring(secrets: &Secrets) -> anyhow::Result<()> {
    let soon = since_1970(SystemTime::now() + RENEWED_BELOW)?;
    for server in SERVERS {
        if expires_at(&files(secrets, server)?).is_ok_and(|expiry| expiry > soon) {
            continue;
        }
        renew(secrets, server, LIFETIME)?;
    }
    Ok(())
}

/// Returns when a certificate expires, in seconds since 1970.
pub(crate) fn expires_at(files: &Files) -> anyhow::Result<i64> {
    Ok(ServerCertificate::load(&files.certificate, &files.key)?.0.expires_at())
}

fn since_1970(time: SystemTime) -> anyhow::Result<i64> {
    let seconds = time.duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    i64::try_from(seconds).context("the clock is too far ahead")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(name: &str) -> (Secrets, PathBuf) {
        let dir = std::env::temp_dir().join(format!("muster-certificates-{name}-{}", std::process::id()));
        (Secrets::open(&dir).unwrap(), dir)
    }

    #[test]
    fn an_authority_is_made_once() {
        let (secrets, dir) = secrets("once");
        let read = || std::fs::read_to_string(Authority::of(&secrets).unwrap().file()).unwrap();
        let first = read();
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"), "{first}");
        assert_eq!(first, read());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn up_renews_a_certificate_that_expires_soon_and_keeps_others() {
        let (secrets, dir) = secrets("renewed");
        let expiry = || expires_at(&files(&secrets, "orders").unwrap()).unwrap();
        let first = expiry();
        renew_expiring(&secrets).unwrap();
        assert_eq!(expiry(), first);

        renew(&secrets, "orders", RENEWED_BELOW / 2).unwrap();
        assert!(expiry() < first);
        renew_expiring(&secrets).unwrap();
        assert!(expiry() >= first);

        std::fs::write(dir.join("orders.crt"), "damaged").unwrap();
        renew_expiring(&secrets).unwrap();
        assert!(expiry() >= first);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
