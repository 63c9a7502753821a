//! The check of a token. Everything about it is decided here; the token only gets to fail.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use telemetry::Environment;

use crate::{
    AuthError, Caller, Jwk, Jwks, Rejection,
    claims::{AUDIENCE, Claims, ISSUER, LEEWAY},
    metrics,
};

/// No token of ours comes near this, and parsing what is longer is work for nothing.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The prefix of key ids that are made for one machine and kept beside the code.
const DEVELOPMENT_PREFIX: &str = "local-development";

/// Knows the keys and checks tokens against them. Cloning is cheap.
#[derive(Clone)]
pub struct Verifier {
    keys: Arc<HashMap<String, Key>>,
}

struct Key {
    jwk: Jwk,
    decoding: DecodingKey,
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
        Self::new(serde_json::from_str(&json).map_err(AuthError::NotJwk)?, environment)
    }

    /// Takes a set of keys; refuses one that is empty, ambiguous, unusable, or not meant for this environment.
    pub fn new(jwks: Jwks, environment: Environment) -> Result<Self, AuthError> {
        if jwks.keys.is_empty() {
            return Err(AuthError::NoKeys);
        }
        let mut keys = HashMap::with_capacity(jwks.keys.len());
        for jwk in jwks.keys {
            if environment == Environment::Production && jwk.kid.starts_with(DEVELOPMENT_PREFIX) {
                return Err(AuthError::DevelopmentKey(jwk.kid));
            }
            let decoding = jwk.decoding_key()?;
            let kid = jwk.kid.clone();
            if let Some(exp) = jwk.exp {
                metrics::show_expiry(&kid, exp);
            }
            if keys.insert(kid.clone(), Key { jwk, decoding }).is_some() {
                return Err(AuthError::DuplicateKeyId(kid));
            }
        }
        Ok(Self { keys: Arc::new(keys) })
    }

    /// Checks a token and returns who presented it.
    pub fn verify(&self, token: &str) -> Result<Caller, Rejection> {
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
        if !claims.lifetime_is_acceptable(now) {
            return Err(Rejection::Lifetime);
        }
        let scopes = claims.scopes();
        if let Some(scope) = scopes.iter().find(|scope| !key.jwk.may_grant(scope)) {
            return Err(Rejection::ScopeNotGranted { kid: key.jwk.kid.clone(), scope: scope.clone() });
        }
        Ok(Caller { subject: claims.sub, tenant: claims.tenant, scopes })
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
