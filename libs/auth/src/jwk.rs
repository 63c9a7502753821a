//! Public keys as JSON Web Keys (RFC 7517, RFC 8037), with one extension: the scopes that a key grants.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is wrong with a text that is neither.
pub(crate) const NOT_JWK: &str = "not a JWK with kty, crv, kid and x, or a set of them";

/// A set of public keys.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Jwks {
    /// The keys, in no particular order.
    pub keys: Vec<Jwk>,
}

/// The public half of an Ed25519 key. Unknown members are ignored, as the RFC requires.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type, always `OKP`.
    pub kty: String,
    /// The curve, always `Ed25519`.
    pub crv: String,
    /// The id of the key, which tokens have in their header.
    pub kid: String,
    /// The public key, base64url without padding.
    pub x: String,
    /// The scopes that the key grants; absent means any. Give every service key a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muster_scopes: Option<Vec<String>>,
    /// When the key expires, in seconds since 1970; absent means never (`OpenID` Federation 1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
}

/// A key that cannot verify our tokens: it has another type or another use, or lacks a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key `{kid}`: {problem}")]
pub(crate) struct Unusable {
    /// Its id, or its position in the set.
    kid: String,
    problem: String,
}

/// Reads a set key by key: an unusable key does not affect the others (RFC 7517, section 5).
pub(crate) fn read_set(json: &str) -> anyhow::Result<Vec<Result<Jwk, Unusable>>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_str(json).context(NOT_JWK)?;
    set.keys.into_iter().enumerate().map(|(place, key)| read(place, key)).collect()
}

fn read(place: usize, key: Value) -> anyhow::Result<Result<Jwk, Unusable>> {
    let kid = key["kid"].as_str().map_or_else(|| format!("without kid, number {}", place + 1), str::to_owned);
    anyhow::ensure!(
        !is_private(&key),
        "key `{kid}` has its private member `d`; replace the key, and publish the public half only"
    );
    let jwk = match other_purpose(&key) {
        Some(problem) => Err(problem),
        None => serde_json::from_value(key).map_err(|error| error.to_string()),
    };
    Ok(jwk.map_err(|problem| Unusable { kid, problem }))
}

/// Returns whether the key is an asymmetric one with its private member.
fn is_private(key: &Value) -> bool {
    matches!(key["kty"].as_str(), Some("OKP" | "EC" | "RSA")) && !key["d"].is_null()
}

/// Returns why the key cannot verify Ed25519 signatures. `use`, `alg` and `key_ops` are optional.
fn other_purpose(key: &Value) -> Option<String> {
    if key["kty"] != "OKP" || key["crv"] != "Ed25519" {
        return Some("kty must be OKP and crv Ed25519".to_owned());
    }
    let says = |member: &str, wanted: &[&str]| {
        let value = &key[member];
        value.is_null() || value.as_str().is_some_and(|value| wanted.contains(&value))
    };
    if !says("use", &["sig"]) {
        return Some("use must be sig".to_owned());
    }
    if !says("alg", &["EdDSA", "Ed25519"]) {
        return Some("alg must be EdDSA or Ed25519".to_owned());
    }
    let operations = &key["key_ops"];
    let verifies = operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"));
    (!operations.is_null() && !verifies).then(|| "key_ops must have verify".to_owned())
}

impl Jwk {
    pub(crate) fn public(kid: String, x: String, muster_scopes: Option<Vec<String>>) -> Self {
        Self { kty: "OKP".to_owned(), crv: "Ed25519".to_owned(), kid, x, muster_scopes, exp: None }
    }

    /// Sets when the key expires, in seconds since 1970.
    #[must_use]
    pub fn expiring_at(self, exp: u64) -> Self {
        Self { exp: Some(exp), ..self }
    }

    /// Returns whether the key has expired at this time, in seconds since 1970.
    pub(crate) fn has_expired(&self, now: u64) -> bool {
        self.exp.is_some_and(|exp| exp <= now)
    }

    /// Returns the key for verification, or its fault.
    pub(crate) fn decoding_key(&self) -> Result<DecodingKey, Unusable> {
        let unusable = |problem: &str| Unusable { kid: self.kid.clone(), problem: problem.to_owned() };
        let key =
            decode_key(&self.x).ok_or_else(|| unusable("x must be 32 bytes in base64url without padding"))?;
        ed25519_dalek::VerifyingKey::from_bytes(&key)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or_else(|| unusable("x is not a point of the curve, or a weak one"))?;
        Ok(DecodingKey::from_ed_der(&key))
    }

    /// Returns whether the key grants the scope.
    pub(crate) fn grants(&self, scope: &str) -> bool {
        self.muster_scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|granted| granted == scope))
    }
}

/// Reads 32 bytes of base64url.
pub(crate) fn decode_key(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Writes bytes as base64url.
pub(crate) fn encode_key(bytes: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
