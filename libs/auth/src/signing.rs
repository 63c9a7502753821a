//! Signs tokens with a private key.

use std::time::Duration;

use anyhow::Context as _;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Jwk, TokenRequest,
    claims::{AUDIENCE, Audience, Claims, ISSUER, MAX_LIFETIME},
    jwk::{NOT_JWK, decode_key, encode_key},
};

/// An Ed25519 key that signs tokens. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct SigningKey {
    kid: String,
    key: ed25519_dalek::SigningKey,
}

/// A private JWK (RFC 8037, appendix A.1).
#[derive(Serialize, Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    d: String,
}

impl SigningKey {
    /// Generates a key.
    pub fn generate(kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), key: ed25519_dalek::SigningKey::from_bytes(&rand::random()) }
    }

    /// Reads a private JWK.
    pub fn from_jwk_json(json: &str) -> anyhow::Result<Self> {
        let jwk: PrivateJwk = serde_json::from_str(json).context(NOT_JWK)?;
        let unusable = |problem| format!("key `{}` is not a usable Ed25519 key: {problem}", jwk.kid);
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            anyhow::bail!(unusable("kty must be OKP and crv Ed25519"));
        }
        let secret = decode_key(&jwk.d)
            .with_context(|| unusable("d must be 32 bytes in base64url without padding"))?;
        let key = ed25519_dalek::SigningKey::from_bytes(&secret);
        if encode_key(key.verifying_key().as_bytes()) != jwk.x {
            anyhow::bail!(unusable("x is not the public half of d"));
        }
        Ok(Self { kid: jwk.kid, key })
    }

    /// Writes the private JWK. Keep it where only the signer can read it.
    pub fn to_jwk_json(&self) -> String {
        let jwk = PrivateJwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: self.kid.clone(),
            x: encode_key(self.key.verifying_key().as_bytes()),
            d: encode_key(self.key.as_bytes()),
        };
        serde_json::to_string(&jwk).expect("a struct of strings always serialises")
    }

    /// Returns the id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the public half, which grants these scopes; `None` means any.
    pub fn public_jwk(&self, scopes: Option<Vec<String>>) -> Jwk {
        Jwk::public(self.kid.clone(), encode_key(self.key.verifying_key().as_bytes()), scopes)
    }

    /// Signs a token that is valid from now on.
    pub fn sign(&self, request: &TokenRequest) -> anyhow::Result<String> {
        anyhow::ensure!(
            request.ttl.as_secs() > 0 && request.ttl <= MAX_LIFETIME,
            "the lifetime of a token is 1 second to 24 hours; set one in this range"
        );
        let now = Duration::from_secs(jsonwebtoken::get_current_timestamp());
        self.sign_claims(&Claims {
            iss: ISSUER.to_owned(),
            aud: Audience::One(AUDIENCE.to_owned()),
            sub: request.subject.clone(),
            tenant: request.tenant.clone(),
            scope: request.scopes.join(" "),
            iat: now,
            nbf: now,
            exp: now + request.ttl,
            jti: Uuid::now_v7().to_string(),
        })
    }

    /// Signs these claims as they are; tests sign invalid ones.
    pub fn sign_claims(&self, claims: &impl Serialize) -> anyhow::Result<String> {
        let der = self.key.to_pkcs8_der().expect("an Ed25519 key always has a PKCS #8 form");
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(der.as_bytes()))
            .context("cannot sign the token")
    }
}
