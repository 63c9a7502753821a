//! The principal of a verified token.

use std::collections::BTreeSet;

use crate::Tenant;

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
