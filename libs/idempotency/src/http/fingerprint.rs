//! What makes two requests the same.

mod body;
mod parts;
#[cfg(test)]
mod tests;

use actix_web::HttpRequest;
use api_error::ApiError;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

pub(crate) use parts::Parts;

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
    /// To say where bodies differ. Whether they do, the hash decides.
    pub(crate) body_parts: Option<Parts>,
}

/// In what two requests differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Of `method`, `route`, `query` and `body` those that do.
    pub(crate) parts: Vec<&'static str>,
    /// The places in the body, as far as they are known.
    pub(crate) places: Vec<String>,
}

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl Fingerprint {
    /// Takes the fingerprint of a request with a JSON body, or with none.
    ///
    /// # Errors
    /// The body is not JSON; an object in it has a member twice; a number in it is beyond ±(2^53 - 1), where RFC 8785
    /// would take different numbers for the same.
    pub fn of(request: &HttpRequest, body: &[u8]) -> Result<Self, ApiError> {
        let (body_hash, body_parts) = match body::read(body)? {
            Some(value) => {
                let hash = body_hash(&body::canonical(&value)?);
                let parts = Parts::of(&value, &hash);
                (hash, Some(parts))
            }
            None => (body_hash(&[]), None),
        };
        Ok(Self {
            version: VERSION,
            method: request.method().as_str().to_owned(),
            route: request.match_pattern().unwrap_or_else(|| request.path().to_owned()),
            query_hash: Sha256::digest(canonical_query(request.query_string())).to_vec(),
            body_hash,
            body_parts,
        })
    }

    /// In what two requests differ.
    pub(crate) fn differences(&self, other: &Self) -> Differences {
        let comparable = self.version == other.version;
        let another_body = comparable && self.body_hash != other.body_hash;
        let parts = [
            ("method", self.method != other.method),
            ("route", self.route != other.route),
            ("query", comparable && self.query_hash != other.query_hash),
            ("body", another_body),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect();
        let places = match (&self.body_parts, &other.body_parts) {
            (Some(own), Some(others)) if another_body => own.differences(others),
            _ => Vec::new(),
        };
        Differences { parts, places }
    }
}

fn body_hash(canonical: &[u8]) -> Vec<u8> {
    Sha256::digest(canonical).to_vec()
}

/// Sorts the pairs of a query by name; the order of equal names is kept, for it can matter to the route.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
