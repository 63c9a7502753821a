//! What a cursor is bound to.

use crate::Sort;

/// The list that a cursor belongs to: whose it is, where it is, what it is filtered by, and its order.
///
/// Has no `Debug` output, since filters can be personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope {
    tenant: String,
    route: &'static str,
    sort: Sort,
    filters: Vec<(&'static str, String)>,
}

impl Scope {
    /// Makes the scope of a list without filters. `route` is the path under which clients ask for it.
    pub fn new(tenant: &str, route: &'static str, sort: Sort) -> Self {
        Self { tenant: tenant.to_owned(), route, sort, filters: Vec::new() }
    }

    /// Adds a filter, if it is set, under the name of its query parameter.
    ///
    /// Of all spellings of a value, give the canonical one: two spellings are two filters here.
    #[must_use]
    pub fn filter(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.filters.extend(value.map(|value| (name, value.into())));
        self
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(crate) const fn route(&self) -> &'static str {
        self.route
    }

    pub(crate) const fn sort(&self) -> Sort {
        self.sort
    }

    pub(crate) fn filters(&self) -> &[(&'static str, String)] {
        &self.filters
    }
}
