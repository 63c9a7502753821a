//! The principal of a verified token, and its tenant.

use std::{collections::BTreeSet, str::FromStr};

use derive_more::{Display, Into};
use serde::{Deserialize, Serialize};

/// Who calls, for which tenant, with which scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name of the caller at the token's issuer.
    pub subject: String,
    /// The tenant whose data the caller may see.
    pub tenant: Tenant,
    /// What the caller may do.
    pub scopes: BTreeSet<String>,
}

/// The name of a tenant: 1 to 63 characters of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Into, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Tenant(String);

/// The text is not the name of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is 1 to 63 characters of a-z, 0-9 and -")]
pub struct InvalidTenant;

impl Tenant {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Tenant {
    type Error = InvalidTenant;

    fn try_from(name: String) -> Result<Self, InvalidTenant> {
        let well_formed = (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if well_formed { Ok(Self(name)) } else { Err(InvalidTenant) }
    }
}

impl FromStr for Tenant {
    type Err = InvalidTenant;

    fn from_str(name: &str) -> Result<Self, InvalidTenant> {
        name.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_short_lower_case_name() {
        for good in ["a", "acme", "acme-2", &"x".repeat(63)] {
            assert_eq!(good.parse::<Tenant>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "Acme", "a_b", "a b", "é", &"x".repeat(64)] {
            assert_eq!(bad.parse::<Tenant>(), Err(InvalidTenant), "{bad:?}");
        }
    }
}
