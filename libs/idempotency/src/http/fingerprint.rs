//! What makes two requests the same.

use actix_web::HttpRequest;
use api_error::{ApiError, Code};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// How the hashes below are made. A row of another version is compared by method and route only, so that a deploy that
/// changes the canonical form does not refuse retries in flight.
pub(crate) const VERSION: i16 = 1;

/// Method, route template, canonical query and canonical body (RFC 8785) of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) query_hash: Vec<u8>,
    pub(crate) body_hash: Vec<u8>,
}

impl Fingerprint {
    /// Takes the fingerprint of a request with a JSON body, or with none.
    ///
    /// # Errors
    /// The body is not JSON.
    pub fn of(request: &HttpRequest, body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self {
            method: request.method().as_str().to_owned(),
            route: request.match_pattern().unwrap_or_else(|| request.path().to_owned()),
            query_hash: Sha256::digest(canonical_query(request.query_string())).to_vec(),
            body_hash: Sha256::digest(canonical_body(body)?).to_vec(),
        })
    }

    /// The parts in which two fingerprints differ.
    pub(crate) fn differences(&self, other: &Self, same_version: bool) -> Vec<&'static str> {
        [
            ("method", self.method != other.method),
            ("route", self.route != other.route),
            ("query", same_version && self.query_hash != other.query_hash),
            ("body", same_version && self.body_hash != other.body_hash),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
    }
}

/// Sorts the pairs of a query; the order of equal names is kept, for it can matter to the route.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_by_key(|pair| pair.split('=').next());
    pairs.join("&")
}

fn canonical_body(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let not_json = |error| ApiError::new(Code::MalformedJson, "The body is not JSON.").with_source(error);
    let value: Value = serde_json::from_slice(body).map_err(not_json)?;
    serde_json_canonicalizer::to_vec(&value).map_err(not_json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    fn body_hash(body: &[u8]) -> Vec<u8> {
        Fingerprint::of(&TestRequest::post().to_http_request(), body).unwrap().body_hash
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-z]{1,6}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// The same value, its members in reverse order and spread over lines.
    fn spread(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .rev()
                    .map(|(name, value)| format!("{} :\n {}", Value::from(name.as_str()), spread(value)))
                    .collect();
                format!("{{ {} }}", members.join(" ,\t"))
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(spread).collect();
                format!("[ {} ]", items.join(" ,\n"))
            }
            leaf => leaf.to_string(),
        }
    }

    proptest! {
        #[test]
        fn spacing_and_order_do_not_matter(value in json()) {
            prop_assert_eq!(body_hash(value.to_string().as_bytes()), body_hash(spread(&value).as_bytes()));
        }

        #[test]
        fn values_do(left in json(), right in json()) {
            prop_assume!(left != right);
            prop_assert_ne!(body_hash(left.to_string().as_bytes()), body_hash(right.to_string().as_bytes()));
        }
    }

    #[test]
    fn the_order_of_query_names_does_not_matter_but_that_of_their_values_does() {
        assert_eq!(canonical_query("b=1&a=2"), canonical_query("a=2&b=1"));
        assert_ne!(canonical_query("a=1&a=2"), canonical_query("a=2&a=1"));
    }

    #[test]
    fn what_differs_is_named() {
        let base = Fingerprint::of(&TestRequest::post().uri("/x?a=1").to_http_request(), b"{}").unwrap();
        let other = Fingerprint::of(&TestRequest::put().uri("/x?a=2").to_http_request(), b"[]").unwrap();
        assert_eq!(base.differences(&other, true), ["method", "query", "body"]);
        assert_eq!(base.differences(&other, false), ["method"]);
    }
}
