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

/// The claims on the wire (RFC 7519, and `scope` of RFC 8693). Every one is required. Times are since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: Audience,
    pub(crate) sub: String,
    pub(crate) tenant: Tenant,
    pub(crate) scope: String,
    #[serde(with = "numeric_date")]
    pub(crate) iat: Duration,
    #[serde(with = "numeric_date")]
    pub(crate) nbf: Duration,
    #[serde(with = "numeric_date")]
    pub(crate) exp: Duration,
    pub(crate) jti: String,
}

/// Whom a token is for: one name or several (RFC 7519, section 4.1.3), of which ours has to be one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

/// `NumericDate`: seconds, which may have a fraction (RFC 7519, section 2).
mod numeric_date {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(date: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(date.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Claims {
    /// Returns whether the token was issued by now, for no longer than the policy allows.
    pub(crate) fn lifetime_is_acceptable(&self, now: Duration) -> bool {
        self.iat <= now + LEEWAY && self.exp.saturating_sub(self.iat) <= MAX_LIFETIME
    }

    /// Returns the scopes, which are separated by spaces on the wire.
    pub(crate) fn scopes(&self) -> BTreeSet<String> {
        self.scope.split_ascii_whitespace().map(str::to_owned).collect()
    }
}
