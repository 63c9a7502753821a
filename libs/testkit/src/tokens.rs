//! Signing keys and bearer tokens of a test, like those of an identity provider, and invalid tokens.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use auth::{Jwks, SigningKey, TokenRequest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use serde_json::{Value, json};

/// The only scope that the key of email-consumer may grant.
const EMAIL_CONSUMER_SCOPE: &str = "links:write";

/// A key for all callers, one for email-consumer, and the files that services read.
#[derive(Debug)]
pub struct Keys {
    signing: SigningKey,
    jwks_file: PathBuf,
    email_consumer_key_file: PathBuf,
}

impl Keys {
    /// Makes the keys, and writes their files into a directory, see [`scratch_dir`](crate::scratch_dir).
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

    /// Makes a token that is valid for an hour.
    pub fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        let request = TokenRequest {
            subject: "test".to_owned(),
            tenant: tenant.parse().unwrap_or_else(|error| panic!("{tenant}: {error}")),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ttl: Duration::from_hours(1),
        };
        self.signing.sign(&request).unwrap_or_else(|error| panic!("cannot sign {request:?}: {error}"))
    }

    /// Makes a token that is invalid for this one reason.
    pub(crate) fn forge(&self, forgery: Forgery, tenant: &str, scopes: &[&str]) -> String {
        forgery.token(&self.signing, tenant, scopes)
    }

    /// Makes a valid token with these claims added or replaced, like that of another issuer.
    pub fn token_with(&self, tenant: &str, scopes: &[&str], members: &Value) -> String {
        let now = get_current_timestamp();
        let mut claims = claims(tenant, scopes, now, now + HOUR);
        for (name, value) in members.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        sign(&self.signing, &claims)
    }
}

fn write(path: PathBuf, content: &str) -> PathBuf {
    fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    path
}

/// In seconds; longer than any clock leeway.
const HOUR: u64 = 3_600;

/// The one reason why a token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// Not a JWT.
    Malformed,
    /// Expired an hour ago.
    Expired,
    /// Valid in an hour.
    NotYetValid,
    /// Signed with another key under the id of the right one.
    WrongKey,
    /// `alg: none`, without a signature.
    Unsigned,
    /// Signed with HMAC, with the public key as the secret.
    PublicKeyAsSecret,
}

impl Forgery {
    /// All reasons.
    pub(crate) const ALL: [Self; 6] = [
        Self::Malformed,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongKey,
        Self::Unsigned,
        Self::PublicKeyAsSecret,
    ];

    fn token(self, key: &SigningKey, tenant: &str, scopes: &[&str]) -> String {
        let now = get_current_timestamp();
        let claims = |from, to| claims(tenant, scopes, from, to);
        let valid = claims(now, now + HOUR);
        match self {
            Self::Malformed => "not.a.token".to_owned(),
            Self::Expired => sign(key, &claims(now - 2 * HOUR, now - HOUR)),
            Self::NotYetValid => sign(key, &claims(now + HOUR, now + 2 * HOUR)),
            Self::WrongKey => sign(&SigningKey::generate(key.kid()), &valid),
            Self::Unsigned => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let header = json!({ "typ": "JWT", "alg": "none", "kid": key.kid() });
                format!("{}.{}.", part(&header), part(&valid))
            }
            Self::PublicKeyAsSecret => {
                let public = URL_SAFE_NO_PAD.decode(key.public_jwk(None).x).expect("x is base64url");
                let header = Header { kid: Some(key.kid().to_owned()), ..Header::new(Algorithm::HS256) };
                jsonwebtoken::encode(&header, &valid, &EncodingKey::from_secret(&public))
                    .expect("HMAC accepts any key")
            }
        }
    }
}

fn claims(tenant: &str, scopes: &[&str], from: u64, to: u64) -> Value {
    json!({
        "iss": "muster", "aud": "muster", "sub": "test", "tenant": tenant, "scope": scopes.join(" "),
        "iat": from, "nbf": from, "exp": to, "jti": "1",
    })
}

fn sign(key: &SigningKey, claims: &Value) -> String {
    key.sign_claims(claims).expect("an Ed25519 key signs any claims")
}
