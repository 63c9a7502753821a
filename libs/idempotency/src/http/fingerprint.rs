//! What makes two requests the same.

mod parts;
#[cfg(test)]
mod tests;

use actix_web::HttpRequest;
use api_error::ApiError;
use serde_json::Value;
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
pub(crate) struct Fingerprint {
    pub(crate) version: i16,
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) query_hash: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
    /// To say where bodies differ. Whether they do, the hash decides.
    pub(crate) body_parts: Option<Parts>,
}

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
    pub(crate) fn of(request: &HttpRequest, body: &[u8]) -> Result<Self, ApiError> {
        let (body_hash, body_parts) = if body.is_empty() {
            (hash(&[]), None)
        } else {
            // RFC 8785 is for unambiguous JSON (I-JSON, RFC 7493): of any other it would take different bodies for the same.
            api_error::refuse_ambiguous(body)?;
            let value: Value = serde_json::from_slice(body).map_err(ApiError::internal)?;
            let hash = hash(&canonical(&value)?);
            let parts = Parts::of(&value, &hash);
            (hash, Some(parts))
        };
        Ok(Self {
            version: VERSION,
            method: request.method().as_str().to_owned(),
            route: request.match_pattern().unwrap_or_else(|| request.path().to_owned()),
            query_hash: hash(canonical_query(request.query_string()).as_bytes()),
            body_hash,
            body_parts,
        })
    }

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

fn hash(canonical: &[u8]) -> Vec<u8> {
    Sha256::digest(canonical).to_vec()
}

fn canonical(body: &Value) -> Result<Vec<u8>, ApiError> {
    serde_json_canonicalizer::to_vec(body).map_err(ApiError::internal)
}

/// Sorts the pairs of a query by name; the order of equal names is kept, for it can matter to the route.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
