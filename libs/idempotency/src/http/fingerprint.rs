//! What makes two requests the same.

mod body;
#[cfg(test)]
mod tests;

use actix_web::HttpRequest;
use api_error::ApiError;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

/// How the hashes below are made. A row of another version is compared by method and route only, so that a deploy that
/// changes the canonical form does not refuse retries in flight.
///
/// 2: escapes in the query are undone; 1 compared them as they were written.
pub(crate) const VERSION: i16 = 2;

/// Method, route template, canonical query and canonical body (RFC 8785) of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub(crate) version: i16,
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) query_hash: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
}

impl Fingerprint {
    /// Takes the fingerprint of a request with a JSON body, or with none.
    ///
    /// # Errors
    /// The body is not JSON; an object in it has a member twice; a number in it is beyond ±(2^53 - 1), where RFC 8785
    /// would take different numbers for the same.
    pub fn of(request: &HttpRequest, body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self {
            version: VERSION,
            method: request.method().as_str().to_owned(),
            route: request.match_pattern().unwrap_or_else(|| request.path().to_owned()),
            query_hash: Sha256::digest(canonical_query(request.query_string())).to_vec(),
            body_hash: Sha256::digest(body::canonical(body)?).to_vec(),
        })
    }

    /// The parts in which two fingerprints differ.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let comparable = self.version == other.version;
        [
            ("method", self.method != other.method),
            ("route", self.route != other.route),
            ("query", comparable && self.query_hash != other.query_hash),
            ("body", comparable && self.body_hash != other.body_hash),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
    }
}

/// Sorts the pairs of a query by name; the order of equal names is kept, for it can matter to the route.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
