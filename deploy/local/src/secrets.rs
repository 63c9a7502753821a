//! Passwords and keys of one stack: generated at the first start, kept in files that only the owner can read.
//!
//! They are useless outside this machine: every part listens on the loopback interface only, and a service in production refuses these
//! signing keys by their `kid`.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use auth::{Jwks, SigningKey};
use tempfile::NamedTempFile;

/// The signing key of the clients: its file and its id.
type ClientKey = (&'static str, &'static str);

const DEVELOPMENT_KEY: ClientKey = ("development-key.json", "local-development");

/// Production refuses the ids of a local stack, which have another prefix.
const CLUSTER_KEY: ClientKey = ("client-key.json", "cluster-check");

const EMAIL_CONSUMER_KEY: &str = "email-consumer-key.json";

/// Validity of the keys, from the start of a service: each start of the stack writes the key set.
const KEY_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// The directory that holds the secrets of a stack.
#[derive(Debug)]
pub(crate) struct Secrets {
    dir: PathBuf,
    client_key: ClientKey,
}

impl Secrets {
    /// Opens the directory and generates the keys. Passwords follow on first use.
    pub(crate) fn ensure(dir: &Path) -> anyhow::Result<Self> {
        let secrets = Self::open(dir)?;
        secrets.write_jwks()?;
        Ok(secrets)
    }

    /// Opens the directory. Keys and passwords follow on first use.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        create_private_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), client_key: DEVELOPMENT_KEY })
    }

    /// Opens the directory with the secrets of a test cluster.
    pub(crate) fn of_cluster(dir: &Path) -> anyhow::Result<Self> {
        Ok(Self { client_key: CLUSTER_KEY, ..Self::open(dir)? })
    }

    /// A password or key: 32 random bytes in hexadecimal, generated once per name.
    pub(crate) fn random(&self, name: &str) -> anyhow::Result<String> {
        self.get_or_make(name, || hex::encode(rand::random::<[u8; 32]>()))
    }

    /// One key for cursors, with its id.
    pub(crate) fn cursor_keys(&self, name: &str) -> anyhow::Result<String> {
        Ok(format!("local:{}", self.random(name)?))
    }

    /// The signing key of the clients on this machine, which `muster token` uses.
    pub(crate) fn client_key(&self) -> anyhow::Result<SigningKey> {
        let (file, kid) = self.client_key;
        self.signing_key(file, kid)
    }

    /// The file with that key.
    pub(crate) fn client_key_file(&self) -> anyhow::Result<PathBuf> {
        self.client_key()?;
        Ok(self.dir.join(self.client_key.0))
    }

    /// The path of a secret that is a file.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// The file with the private key of email-consumer.
    pub(crate) fn email_consumer_key_file(&self) -> PathBuf {
        self.dir.join(EMAIL_CONSUMER_KEY)
    }

    /// The file with the public keys that the services trust.
    pub(crate) fn jwks_file(&self) -> PathBuf {
        self.dir.join("jwks.json")
    }

    /// The key of a service has only the scopes that it needs. Every key expires.
    fn write_jwks(&self) -> anyhow::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let expiry = (now + KEY_LIFETIME).as_secs();
        let email_consumer = self.signing_key(EMAIL_CONSUMER_KEY, "local-development-email-consumer")?;
        let keys = [
            self.client_key()?.public_jwk(None),
            email_consumer.public_jwk(Some(vec!["links:write".to_owned()])),
        ]
        .map(|key| key.expiring_at(expiry));
        let text = serde_json::to_string_pretty(&Jwks { keys: keys.into() }).context("the key set")?;
        write_private(&self.jwks_file(), &text)
    }

    /// A signing key with the id `kid`, generated once per file.
    pub(crate) fn signing_key(&self, file: &str, kid: &str) -> anyhow::Result<SigningKey> {
        let text = self.get_or_make(file, || SigningKey::generate(kid).to_jwk_json())?;
        SigningKey::from_jwk_json(&text)
            .with_context(|| format!("{} is damaged: move it away", self.dir.join(file).display()))
    }

    /// The text of a file, which is made once.
    pub(crate) fn get_or_make(&self, file: &str, make: impl FnOnce() -> String) -> anyhow::Result<String> {
        let path = self.dir.join(file);
        if !path.exists() {
            // Of several processes that generate the same secret, all use the first one.
            match new_file(&path, &make())?.persist_noclobber(&path) {
                Err(error) if error.error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error.error).with_context(|| format!("{} cannot be written", path.display()));
                }
                _ => {}
            }
        }
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(text.trim().to_owned())
    }
}

/// Creates a directory that only its owner can enter; keeps an existing one.
pub(crate) fn create_private_dir(dir: &Path) -> anyhow::Result<()> {
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.with_context(|| format!("{} cannot be created", dir.display()))
}

/// Writes a file that only its owner can read, atomically.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = new_file(path, text)?.persist(path).map_err(|error| error.error);
    written.map(drop).with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes a complete file beside `path` that only its owner can read; its drop removes it.
fn new_file(path: &Path, text: &str) -> anyhow::Result<NamedTempFile> {
    let write = || {
        let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        io::Result::Ok(file)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_generated_once_and_is_private() {
        let dir = std::env::temp_dir().join(format!("muster-secrets-{}", std::process::id()));
        let first = Secrets::ensure(&dir).unwrap().random("postgres").unwrap();
        let second = Secrets::ensure(&dir).unwrap().random("postgres").unwrap();

        assert_eq!(first, second);
        assert_eq!(first.len(), 64);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("postgres")), 0o600);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_older_stack_gets_a_new_secret() {
        let dir = std::env::temp_dir().join(format!("muster-older-secrets-{}", std::process::id()));
        let password = Secrets::ensure(&dir).unwrap().random("postgres").unwrap();

        let keys = Secrets::ensure(&dir).unwrap().cursor_keys("orders-cursor-key").unwrap();

        assert_eq!(keys.strip_prefix("local:").map(str::len), Some(64));
        assert_eq!(Secrets::ensure(&dir).unwrap().cursor_keys("orders-cursor-key").unwrap(), keys);
        assert_eq!(Secrets::ensure(&dir).unwrap().random("postgres").unwrap(), password);
        fs::remove_dir_all(dir).unwrap();
    }
}
