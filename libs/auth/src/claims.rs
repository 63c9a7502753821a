//! The claims of a token, and the limits of its lifetime.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Tenant;

/// The issuer of every token.
pub(crate) const ISSUER: &str = "muster";
/// The audience of every token.
pub(crate) const AUDIENCE: &str = "muster";
/// The longest lifetime of a token.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// The tolerated difference of clocks.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);

/// The content of a new token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Who calls.
    pub subject: String,
    /// The tenant whose data the caller may see.
    pub tenant: Tenant,
    /// What the caller may do.
    pub scopes: Vec<String>,
    /// The lifetime: 1 second to 24 hours.
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

/// The audience: one name or several (RFC 7519, section 4.1.3), with ours among them.
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
    /// Returns whether the token was issued by now, for [`MAX_LIFETIME`] at most.
    pub(crate) fn lifetime_is_acceptable(&self, now: Duration) -> bool {
        self.iat <= now + LEEWAY && self.exp.saturating_sub(self.iat) <= MAX_LIFETIME
    }

    /// Returns the scopes, which are separated by spaces on the wire.
    pub(crate) fn scopes(&self) -> BTreeSet<String> {
        self.scope.split_ascii_whitespace().map(str::to_owned).collect()
    }
}
