//! Verifies tokens. The token chooses nothing: algorithm, issuer and audience are fixed here.

use std::{collections::HashMap, fs, path::Path, sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use telemetry::Environment;

use crate::{
    AuthError, Jwk, Jwks, Principal, Rejection,
    claims::{AUDIENCE, Claims, ISSUER, LEEWAY},
    jwk::{self, Unusable},
    metrics,
};

/// The longest token, which bounds the cost of parsing one.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The prefix of the ids of development keys, which production refuses.
const DEVELOPMENT_PREFIX: &str = "local-development";

/// Verifies tokens with the keys of a set. Cloning is cheap.
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<HashMap<String, Key>>,
}

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

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("kids", &self.keys.keys()).finish()
    }
}

impl Verifier {
    /// Reads the keys from a file.
    pub fn from_file(path: impl AsRef<Path>, environment: Environment) -> Result<Self, AuthError> {
        let path = path.as_ref();
        let json = fs::read_to_string(path)
            .map_err(|source| AuthError::Unreadable { path: path.display().to_string(), source })?;
        Self::from_json(&json, environment)
    }

    /// Reads the keys of a JWK Set. An unusable key is skipped with a warning in the log.
    ///
    /// # Errors
    /// The set has no usable key, a key id twice, a private key, or in production a development key.
    pub fn from_json(json: &str, environment: Environment) -> Result<Self, AuthError> {
        Self::of(jwk::read_set(json)?, environment)
    }

    /// Takes a set of keys, as [`Verifier::from_json`] does.
    pub fn new(jwks: Jwks, environment: Environment) -> Result<Self, AuthError> {
        Self::of(jwks.keys.into_iter().map(Ok).collect(), environment)
    }

    fn of(candidates: Vec<Result<Jwk, Unusable>>, environment: Environment) -> Result<Self, AuthError> {
        if candidates.is_empty() {
            return Err(AuthError::NoKeys);
        }
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
            if environment == Environment::Production && kid.starts_with(DEVELOPMENT_PREFIX) {
                return Err(AuthError::DevelopmentKey(kid));
            }
            if let Some(exp) = jwk.exp {
                metrics::show_expiry(&kid, exp);
            }
            if keys.insert(kid.clone(), Key { jwk, decoding }).is_some() {
                return Err(AuthError::DuplicateKeyId(kid));
            }
        }
        if keys.is_empty() {
            return Err(AuthError::NoUsableKey(skipped.join("; ")));
        }
        Ok(Self { keys: Arc::new(keys) })
    }

    /// Verifies a token and returns its principal.
    pub fn verify(&self, token: &str) -> Result<Principal, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(Rejection::Malformed)?;
        if header.crit.is_some() {
            return Err(Rejection::Critical);
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(Rejection::UnknownKey)?;
        let now = jsonwebtoken::get_current_timestamp();
        if key.jwk.has_expired(now) {
            return Err(Rejection::KeyExpired(key.jwk.kid.clone()));
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation())
            .map_err(Rejection::Invalid)?
            .claims;
        if !claims.lifetime_is_acceptable(Duration::from_secs(now)) {
            return Err(Rejection::Lifetime);
        }
        let scopes = claims.scopes();
        if let Some(scope) = scopes.iter().find(|scope| !key.jwk.grants(scope)) {
            return Err(Rejection::ScopeNotGranted { kid: key.jwk.kid.clone(), scope: scope.clone() });
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
