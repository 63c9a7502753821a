//! Public keys as JSON (RFC 7517, RFC 8037), with one extension: the scopes that a key may grant.

use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::AuthError;

/// A set of public keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys, in no particular order.
    pub keys: Vec<Jwk>,
}

/// The public half of an Ed25519 key. Members that are not understood are ignored, as the RFC asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type, always `OKP`.
    pub kty: String,
    /// The curve, always `Ed25519`.
    pub crv: String,
    /// The id by which tokens name the key.
    pub kid: String,
    /// The public key, base64url without padding.
    pub x: String,
    /// The scopes that tokens of this key may carry; absent means any. Give every service key a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muster_scopes: Option<Vec<String>>,
    /// When the key stops being trusted, in seconds since 1970; absent means never. A member that other
    /// issuers use as well (`OpenID` Federation 1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// The private half. It is read only to be refused.
    #[serde(default, skip_serializing)]
    d: Option<IgnoredAny>,
}

impl Jwk {
    pub(crate) fn public(kid: String, x: String, muster_scopes: Option<Vec<String>>) -> Self {
        Self { kty: "OKP".to_owned(), crv: "Ed25519".to_owned(), kid, x, muster_scopes, exp: None, d: None }
    }

    /// Returns the key with an end, in seconds since 1970.
    #[must_use]
    pub fn expiring_at(self, exp: u64) -> Self {
        Self { exp: Some(exp), ..self }
    }

    /// Returns whether the key is no longer trusted at this time, in seconds since 1970.
    pub(crate) fn has_expired(&self, now: u64) -> bool {
        self.exp.is_some_and(|exp| exp <= now)
    }

    /// Returns the key for verification, or what is wrong with it.
    pub(crate) fn decoding_key(&self) -> Result<DecodingKey, AuthError> {
        if self.d.is_some() {
            return Err(AuthError::PrivateKeyExposed(self.kid.clone()));
        }
        let unusable = |problem| AuthError::UnusableKey { kid: self.kid.clone(), problem };
        if self.kty != "OKP" || self.crv != "Ed25519" {
            return Err(unusable("kty must be OKP and crv Ed25519"));
        }
        let key =
            decode_key(&self.x).ok_or_else(|| unusable("x must be 32 bytes in base64url without padding"))?;
        ed25519_dalek::VerifyingKey::from_bytes(&key)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or_else(|| unusable("x is not a point of the curve, or a weak one"))?;
        Ok(DecodingKey::from_ed_der(&key))
    }

    /// Returns whether tokens of this key may carry the scope.
    pub(crate) fn may_grant(&self, scope: &str) -> bool {
        self.muster_scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|granted| granted == scope))
    }
}

/// Reads 32 bytes of base64url.
pub(crate) fn decode_key(text: &str) -> Option<[u8; 32]> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Writes bytes as base64url.
pub(crate) fn encode_key(bytes: &[u8; 32]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}
