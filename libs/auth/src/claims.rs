//! The claims of a token, and the rules about time that signer and verifier share.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Tenant;

/// Issuer and audience: tokens of another system, or for another one, are not ours.
pub(crate) const ISSUER: &str = "muster";
/// See [`ISSUER`].
pub(crate) const AUDIENCE: &str = "muster";
/// The longest life of a token.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// How far two clocks may be apart.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);

/// What a new token should say.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Who calls.
    pub subject: String,
    /// For which tenant.
    pub tenant: Tenant,
    /// What the caller may do.
    pub scopes: Vec<String>,
    /// How long the token is good for, 24 hours at most.
    pub ttl: Duration,
}

/// The claims on the wire (RFC 7519, and `scope` of RFC 8693). Every one is required.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) tenant: Tenant,
    pub(crate) scope: String,
    pub(crate) iat: u64,
    pub(crate) nbf: u64,
    pub(crate) exp: u64,
    pub(crate) jti: String,
}

impl Claims {
    /// Returns whether the token was issued by now, for no longer than the policy allows.
    pub(crate) fn lifetime_is_acceptable(&self, now: u64) -> bool {
        self.iat <= now + LEEWAY.as_secs() && self.exp.saturating_sub(self.iat) <= MAX_LIFETIME.as_secs()
    }

    /// Returns the scopes, which are separated by spaces on the wire.
    pub(crate) fn scopes(&self) -> BTreeSet<String> {
        self.scope.split_ascii_whitespace().map(str::to_owned).collect()
    }
}
