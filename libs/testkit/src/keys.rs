//! Keys and bearer tokens of a test: what an identity provider is in production.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use auth::{Jwks, SigningKey, TokenRequest};
use serde_json::Value;

use crate::Forgery;

/// The one thing that the key of email-consumer may be used for.
const EMAIL_CONSUMER_SCOPE: &str = "links:write";

/// A key for callers of any kind, one for email-consumer, and the files that services read.
#[derive(Debug)]
pub struct Keys {
    pub(crate) signing: SigningKey,
    jwks_file: PathBuf,
    email_consumer_key_file: PathBuf,
}

impl Keys {
    /// Makes the keys and writes their files into a directory, see [`scratch_dir`](crate::scratch_dir).
    pub fn generate(directory: &Path) -> Self {
        let signing = SigningKey::generate("test");
        let email_consumer = SigningKey::generate("test-email-consumer");
        let jwks = Jwks {
            keys: vec![
                signing.public_jwk(None),
                email_consumer.public_jwk(Some(vec![EMAIL_CONSUMER_SCOPE.to_owned()])),
            ],
        };
        let jwks = serde_json::to_string_pretty(&jwks).expect("keys are strings");
        Self {
            signing,
            jwks_file: write(directory.join("jwks.json"), &jwks),
            email_consumer_key_file: write(
                directory.join("email-consumer.jwk"),
                &email_consumer.to_jwk_json(),
            ),
        }
    }

    /// Returns the file with the public keys, for `AUTH_JWKS_FILE`.
    pub fn jwks_file(&self) -> &Path {
        &self.jwks_file
    }

    /// Returns the file with the private key that may grant `links:write` only, for `EMAIL_SIGNING_KEY_FILE`.
    pub fn email_consumer_key_file(&self) -> &Path {
        &self.email_consumer_key_file
    }

    /// Makes a token that is good for an hour.
    pub fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        self.sign(&TokenRequest {
            subject: "test".to_owned(),
            tenant: tenant.parse().unwrap_or_else(|error| panic!("{tenant}: {error}")),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ttl: Duration::from_hours(1),
        })
    }

    /// Makes a token that is wrong in this one way.
    pub fn forge(&self, forgery: Forgery, tenant: &str, scopes: &[&str]) -> String {
        forgery.token(&self.signing, tenant, scopes)
    }

    /// Makes a token as another issuer might write it: with these members instead of our own.
    pub fn token_with(&self, tenant: &str, scopes: &[&str], members: &Value) -> String {
        Forgery::none_with(&self.signing, tenant, scopes, members)
    }

    /// Makes a token of any other kind.
    pub fn sign(&self, request: &TokenRequest) -> String {
        self.signing.sign(request).unwrap_or_else(|error| panic!("cannot sign {request:?}: {error}"))
    }
}

fn write(path: PathBuf, content: &str) -> PathBuf {
    fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    path
}
