//! Signing keys and bearer tokens of a test, like those of an identity provider, and invalid tokens.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auth::{Jwks, SigningKey, TokenRequest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

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
        self.sign(&TokenRequest {
            subject: "test".to_owned(),
            tenant: tenant.parse().unwrap_or_else(|error| panic!("{tenant}: {error}")),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ttl: Duration::from_hours(1),
        })
    }

    /// Makes a token that is invalid for this one reason.
    pub fn forge(&self, forgery: Forgery, tenant: &str, scopes: &[&str]) -> String {
        forgery.token(&self.signing, tenant, scopes)
    }

    /// Makes a valid token with these claims added or replaced, like that of another issuer.
    pub fn token_with(&self, tenant: &str, scopes: &[&str], members: &Value) -> String {
        let mut claims = claims(tenant, scopes, now(), now() + HOUR.as_secs());
        for (name, value) in members.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        encode_eddsa(&claims, &self.signing)
    }

    /// Makes a token from a request.
    pub fn sign(&self, request: &TokenRequest) -> String {
        self.signing.sign(request).unwrap_or_else(|error| panic!("cannot sign {request:?}: {error}"))
    }
}

fn write(path: PathBuf, content: &str) -> PathBuf {
    fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    path
}

/// Longer than any clock leeway.
const HOUR: Duration = Duration::from_hours(1);

/// The one reason why a token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
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
    pub const ALL: [Self; 6] = [
        Self::Malformed,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongKey,
        Self::Unsigned,
        Self::PublicKeyAsSecret,
    ];

    /// Makes the token.
    fn token(self, key: &SigningKey, tenant: &str, scopes: &[&str]) -> String {
        let (now, hour) = (now(), HOUR.as_secs());
        let claims = |from, to| claims(tenant, scopes, from, to);
        let header = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": key.kid() });
        let valid = claims(now, now + hour);
        match self {
            Self::Malformed => "not.a.token".to_owned(),
            Self::Expired => encode_eddsa(&claims(now - 2 * hour, now - hour), key),
            Self::NotYetValid => encode_eddsa(&claims(now + hour, now + 2 * hour), key),
            Self::WrongKey => encode_eddsa(&valid, &SigningKey::generate(key.kid())),
            Self::Unsigned => encode(&header("none"), &valid, |_| Vec::new()),
            Self::PublicKeyAsSecret => encode(&header("HS256"), &valid, |text| {
                let public = secret(key).verifying_key();
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(public.as_bytes()).expect("HMAC accepts any key");
                mac.update(text);
                mac.finalize().into_bytes().to_vec()
            }),
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set").as_secs()
}

fn claims(tenant: &str, scopes: &[&str], from: u64, to: u64) -> Value {
    json!({
        "iss": "muster", "aud": "muster", "sub": "test", "tenant": tenant, "scope": scopes.join(" "),
        "iat": from, "nbf": from, "exp": to, "jti": "1",
    })
}

fn encode_eddsa(claims: &Value, key: &SigningKey) -> String {
    let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": key.kid() });
    encode(&header, claims, |text| secret(key).sign(text).to_bytes().to_vec())
}

fn encode(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn secret(key: &SigningKey) -> ed25519_dalek::SigningKey {
    let jwk: Value = serde_json::from_str(&key.to_jwk_json()).expect("a JWK is JSON");
    let bytes = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap_or_default()).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).expect("d is 32 bytes in base64url");
    ed25519_dalek::SigningKey::from_bytes(&bytes)
}
