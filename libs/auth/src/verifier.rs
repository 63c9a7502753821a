//! Verifies tokens. The token chooses nothing: algorithm, issuer and audience are fixed here.

use std::{collections::HashMap, fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use telemetry::Environment;

use crate::{
    Jwk, Jwks, Principal,
    claims::{AUDIENCE, Claims, ISSUER, LEEWAY},
    jwk::{self, Unusable},
    metrics,
};

/// The longest token, which bounds the cost of parsing one.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The prefix of the ids of development keys, which production refuses.
const DEVELOPMENT_PREFIX: &str = "local-development";

/// Verifies tokens with the keys of a set. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Arc<HashMap<String, Key>>,
}

#[derive(Debug)]
struct Key {
    jwk: Jwk,
    decoding: DecodingKey,
}

impl Key {
    fn new(jwk: Jwk) -> Result<Self, Unusable> {
        let decoding = jwk.decoding_key()?;
        Ok(Self { jwk, decoding })
    }
}

impl Verifier {
    /// Reads the keys from a file.
    pub fn from_file(path: impl AsRef<Path>, environment: Environment) -> anyhow::Result<Self> {
        let path = path.as_ref();
        let json = fs::read_to_string(path).with_context(|| {
            let path = path.display();
            format!("cannot read the JWK Set {path}; point AUTH_JWKS_FILE to a readable file")
        })?;
        Self::from_json(&json, environment)
    }

    /// Reads the keys of a JWK Set. An unusable key is skipped with a warning in the log.
    ///
    /// # Errors
    /// The set has no usable key, a key id twice, a private key, or in production a development key.
    pub fn from_json(json: &str, environment: Environment) -> anyhow::Result<Self> {
        Self::of(jwk::read_set(json)?, environment)
    }

    /// Takes a set of keys, as [`Verifier::from_json`] does.
    pub fn new(jwks: Jwks, environment: Environment) -> anyhow::Result<Self> {
        Self::of(jwks.keys.into_iter().map(Ok).collect(), environment)
    }

    fn of(candidates: Vec<Result<Jwk, Unusable>>, environment: Environment) -> anyhow::Result<Self> {
        ensure!(!candidates.is_empty(), "the JWK Set is empty; add the public key of the issuer");
        let mut keys = HashMap::with_capacity(candidates.len());
        let mut skipped = Vec::new();
        for candidate in candidates {
            let Key { jwk, decoding } = match candidate.and_then(Key::new) {
                Ok(key) => key,
                Err(unusable) => {
                    tracing::warn!(reason = %unusable, "a key of the JWK Set is skipped");
                    skipped.push(unusable.to_string());
                    continue;
                }
            };
            let kid = jwk.kid.clone();
            ensure!(
                environment != Environment::Production || !kid.starts_with(DEVELOPMENT_PREFIX),
                "key `{kid}` is a local development key, which production refuses; remove it from the JWK Set"
            );
            if let Some(exp) = jwk.exp {
                metrics::show_expiry(&kid, exp);
            }
            let known = keys.insert(kid.clone(), Key { jwk, decoding });
            ensure!(known.is_none(), "key id `{kid}` is in the JWK Set twice; give each key its own id");
        }
        ensure!(
            !keys.is_empty(),
            "the JWK Set has no usable key; add the public Ed25519 key of the issuer ({})",
            skipped.join("; ")
        );
        Ok(Self { keys: Arc::new(keys) })
    }

    /// Verifies a token and returns its principal. An error is for the log only, not for the caller.
    pub fn verify(&self, token: &str) -> anyhow::Result<Principal> {
        ensure!(token.len() <= MAX_TOKEN_BYTES, "the token is longer than 8 KiB");
        let header = jsonwebtoken::decode_header(token).context("the token's header is malformed")?;
        // The token needs an extension, and none is supported.
        ensure!(header.crit.is_none(), "the token has critical header parameters");
        let key =
            header.kid.and_then(|kid| self.keys.get(&kid)).context("the key of the token is unknown")?;
        let (kid, now) = (&key.jwk.kid, jsonwebtoken::get_current_timestamp());
        ensure!(!key.jwk.has_expired(now), "key `{kid}` has expired");
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation())
            .context("the token does not verify")?
            .claims;
        ensure!(
            claims.lifetime_is_acceptable(Duration::from_secs(now)),
            "the token's lifetime is longer than 24 hours or begins in the future"
        );
        let scopes = claims.scopes();
        if let Some(scope) = scopes.iter().find(|scope| !key.jwk.grants(scope)) {
            anyhow::bail!("key `{kid}` does not grant scope `{scope}`");
        }
        Ok(Principal { subject: claims.sub, tenant: claims.tenant, scopes })
    }
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY.as_secs();
    validation
}

#[cfg(test)]
mod tests;
