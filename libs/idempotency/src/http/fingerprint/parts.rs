//! Where two bodies differ, without keeping their values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Places of one body that are kept at most, so that the row of a key stays small. Of a larger body only the members are kept.
const MAX: usize = 128;

/// Bytes of a hash that are kept: two values are taken for the same once in 2^64.
const HASH_LEN: usize = 8;

/// The pointer to a whole body.
const WHOLE: &str = "";

/// Hashes of the parts of a body by JSON pointer (RFC 6901): the whole, each member, and each value that has no members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Parts(BTreeMap<String, String>);

impl Parts {
    /// Takes the hashes of a body, whose own hash is known.
    pub(super) fn of(body: &Value, body_hash: &[u8]) -> Self {
        let mut parts = BTreeMap::new();
        collect(body, WHOLE, &mut parts);
        if parts.len() > MAX {
            parts.clear();
        }
        if children(body).count() <= MAX {
            for (token, child) in children(body) {
                parts.entry(format!("/{token}")).or_insert_with(|| hash(child));
            }
        }
        parts.insert(WHOLE.to_owned(), shortened(body_hash));
        Self(parts)
    }

    /// Whether these are the parts of the body that has this hash.
    pub(crate) fn are_of(&self, body_hash: &[u8]) -> bool {
        self.0.get(WHOLE).is_some_and(|whole| *whole == shortened(body_hash))
    }

    /// The places in which two bodies differ, as precisely as both are known.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let members: BTreeSet<_> = self.members().chain(other.members()).collect();
        members
            .into_iter()
            .filter(|member| self.0.get(*member) != other.0.get(*member))
            .flat_map(|member| self.differences_in(other, member))
            .collect()
    }

    fn differences_in(&self, other: &Self, member: &str) -> Vec<String> {
        let (own, others) = (self.below(member), other.below(member));
        if own.is_empty() || others.is_empty() {
            return vec![member.to_owned()];
        }
        let places: BTreeSet<_> = own.keys().chain(others.keys()).copied().collect();
        let differ = |place: &&str| own.get(place) != others.get(place);
        places.into_iter().filter(differ).map(str::to_owned).collect()
    }

    fn members(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|pointer| pointer.rfind('/') == Some(0))
    }

    fn below(&self, member: &str) -> BTreeMap<&str, &str> {
        let is_below = |pointer: &str| pointer.strip_prefix(member).is_some_and(|rest| rest.starts_with('/'));
        let parts = self.0.iter().map(|(pointer, hash)| (pointer.as_str(), hash.as_str()));
        parts.filter(|(pointer, _)| is_below(pointer)).collect()
    }
}

/// Gathers every value that has no members; stops soon when there are too many.
fn collect(value: &Value, at: &str, leaves: &mut BTreeMap<String, String>) {
    let mut children = children(value).peekable();
    if children.peek().is_none() && at != WHOLE {
        leaves.insert(at.to_owned(), hash(value));
    }
    for (token, child) in children {
        if leaves.len() > MAX {
            return;
        }
        collect(child, &format!("{at}/{token}"), leaves);
    }
}

/// The members or elements of a value, and the tokens that lead to them.
fn children(value: &Value) -> Box<dyn Iterator<Item = (String, &Value)> + '_> {
    match value {
        Value::Object(members) => Box::new(
            members.iter().map(|(name, member)| (name.replace('~', "~0").replace('/', "~1"), member)),
        ),
        Value::Array(elements) => {
            Box::new(elements.iter().enumerate().map(|(index, element)| (index.to_string(), element)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
    }
}

fn hash(value: &Value) -> String {
    // A value that was read has a canonical form; an empty one would only make an answer less precise.
    shortened(&Sha256::digest(serde_json_canonicalizer::to_vec(value).unwrap_or_default()))
}

fn shortened(hash: &[u8]) -> String {
    hex::encode(&hash[..HASH_LEN.min(hash.len())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(body: &Value) -> Parts {
        Parts::of(body, b"12345678")
    }

    fn differences(left: &Value, right: &Value) -> Vec<String> {
        parts(left).differences(&parts(right))
    }

    #[test]
    fn only_the_differing_places_are_named() {
        let first = json!({"email": "a", "lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}], "a/b": {}});
        for (second, places) in [
            (
                json!({"email": "a", "lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 3}], "a/b": {}}),
                vec!["/lines/1/n"],
            ),
            (
                json!({"email": "b", "lines": [{"sku": "A", "n": 1}], "a/b": {}}),
                vec!["/email", "/lines/1/n", "/lines/1/sku"],
            ),
            (json!({"email": "a", "lines": [], "a/b": {}}), vec!["/lines"]),
            (
                json!({"email": ["a"], "lines": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]}),
                vec!["/a~1b", "/email"],
            ),
        ] {
            assert_eq!(differences(&first, &second), places);
            assert_eq!(differences(&second, &first), places);
        }
        assert!(differences(&first, &first).is_empty());
    }

    #[test]
    fn of_a_large_body_the_members_are_named() {
        let large = |n: usize| json!({"same": [1, 2], "lines": vec![7; n]});
        assert_eq!(differences(&large(200), &large(201)), ["/lines"]);
        assert_eq!(differences(&large(2), &large(200)), ["/lines"]);
        assert!(parts(&large(5_000)).0.len() <= 3);
        let wide: serde_json::Map<_, _> = (0..200).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(parts(&Value::Object(wide)).0.len(), 1);
    }

    #[test]
    fn parts_are_known_by_the_hash_of_their_body() {
        assert!(parts(&json!({})).are_of(b"12345678 and the rest"));
        assert!(!parts(&json!({})).are_of(b"87654321"));
        assert!(!Parts::default().are_of(b""));
    }

    #[test]
    fn no_value_is_kept() {
        let stored = serde_json::to_string(&parts(&json!({"email": "ada@example.com"}))).unwrap();
        assert!(stored.contains("/email") && !stored.contains("ada"), "{stored}");
    }
}
