//! Bearer tokens that no service may take, each wrong in one way only.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::SigningKey;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// Longer than any leeway for clocks.
const FAR: Duration = Duration::from_hours(1);

/// In which way a token is wrong. Everything else about it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Not a token at all.
    Malformed,
    /// It was good an hour ago.
    Expired,
    /// It will be good in an hour.
    NotYetValid,
    /// Signed by another key under the name of the right one.
    WrongKey,
    /// `alg: none`, without a signature.
    Unsigned,
    /// Signed by HMAC, with the public key as the secret.
    PublicKeyAsSecret,
}

impl Forgery {
    /// Every way.
    pub const ALL: [Self; 6] = [
        Self::Malformed,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongKey,
        Self::Unsigned,
        Self::PublicKeyAsSecret,
    ];

    /// Makes the token.
    pub(crate) fn token(self, key: &SigningKey, tenant: &str, scopes: &[&str]) -> String {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("this machine's clock is set").as_secs();
        let (hour, claims) = (FAR.as_secs(), |from: u64, to: u64| claims(tenant, scopes, from, to));
        let good = claims(now, now + hour);
        let header = |alg: &str| json!({ "typ": "JWT", "alg": alg, "kid": key.kid() });
        let eddsa = |claims: &Value, key: &SigningKey| {
            encode(&header("EdDSA"), claims, |text| secret(key).sign(text).to_bytes().to_vec())
        };
        match self {
            Self::Malformed => "not.a.token".to_owned(),
            Self::Expired => eddsa(&claims(now - 2 * hour, now - hour), key),
            Self::NotYetValid => eddsa(&claims(now + hour, now + 2 * hour), key),
            Self::WrongKey => eddsa(&good, &SigningKey::generate(key.kid())),
            Self::Unsigned => encode(&header("none"), &good, |_| Vec::new()),
            Self::PublicKeyAsSecret => encode(&header("HS256"), &good, |text| {
                let public = secret(key).verifying_key();
                let mut mac = Hmac::<Sha256>::new_from_slice(public.as_bytes()).expect("HMAC takes any key");
                mac.update(text);
                mac.finalize().into_bytes().to_vec()
            }),
        }
    }

    /// Makes a token in the same way that is good, to show that a forgery is refused for its one fault.
    pub(crate) fn none(key: &SigningKey, tenant: &str, scopes: &[&str]) -> String {
        Self::none_with(key, tenant, scopes, &Value::Null)
    }

    /// Makes a token that is good but for these members of its claims.
    pub(crate) fn none_with(key: &SigningKey, tenant: &str, scopes: &[&str], members: &Value) -> String {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("this machine's clock is set").as_secs();
        let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": key.kid() });
        let mut claims = claims(tenant, scopes, now, now + FAR.as_secs());
        for (name, value) in members.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        encode(&header, &claims, |text| secret(key).sign(text).to_bytes().to_vec())
    }
}

fn claims(tenant: &str, scopes: &[&str], from: u64, to: u64) -> Value {
    json!({
        "iss": "muster", "aud": "muster", "sub": "test", "tenant": tenant, "scope": scopes.join(" "),
        "iat": from, "nbf": from, "exp": to, "jti": "1",
    })
}

fn encode(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn secret(key: &SigningKey) -> ed25519_dalek::SigningKey {
    let jwk: Value = serde_json::from_str(&key.to_jwk_json()).expect("a key is written as JSON");
    let bytes = URL_SAFE_NO_PAD.decode(jwk["d"].as_str().unwrap_or_default()).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).expect("d is 32 bytes in base64url");
    ed25519_dalek::SigningKey::from_bytes(&bytes)
}
