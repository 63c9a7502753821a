//! Binary format and signature of a cursor.
//!
//! ```text
//! version 1 | expiry 8 | side 1 | owner 8 | query 8 | key id 1 + n | time 8 | id n | signature 16
//! ```
//!
//! Numbers are big-endian; the expiry is in seconds and the time in microseconds since 1970. The signature covers the bytes
//! before it. Owner (tenant and route) and query (filters and order) are keyed hashes of the request, so a filter cannot be
//! guessed without the key. They only select the right error; tenants are separated by queries that take the tenant from
//! the caller's token.

use std::iter;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use hmac::Mac;

use crate::{
    Boundary, CursorKeys, Direction, Position, Scope, SortKey, TieBreaker,
    keys::{Key, MAX_ID_LEN, Purpose},
};

/// Version of the format.
const VERSION: u8 = 1;

/// Half of HMAC-SHA256: still infeasible to guess, and a shorter link.
const SIGNATURE_LEN: usize = 16;

/// Long enough that two filters do not collide by chance.
const HASH_LEN: usize = 8;

/// Longest accepted text.
const MAX_TEXT_LEN: usize = 1_024;

type Hash = [u8; HASH_LEN];

/// A cursor with a valid signature.
pub(crate) struct Token<K> {
    /// Seconds since 1970.
    pub(crate) expires_at: i64,
    pub(crate) position: Position<K>,
    /// Made for the tenant and the route of the request.
    pub(crate) has_same_owner: bool,
    /// Made for the filters and the order of the request.
    pub(crate) has_same_query: bool,
}

impl<K: TieBreaker> Token<K> {
    pub(crate) fn write(key: &Key, scope: &Scope, expires_at: i64, position: &Position<K>) -> String {
        let id = key.id.as_bytes();
        let id_len = u8::try_from(id.len()).expect("ids of keys are short");
        let mut token = vec![VERSION];
        token.extend(expires_at.to_be_bytes());
        token.push(position.direction as u8 + 2 * position.boundary as u8);
        token.extend(owner(key, scope));
        token.extend(query(key, scope));
        token.push(id_len);
        token.extend(id);
        token.extend(position.key.at.timestamp_micros().to_be_bytes());
        token.extend(position.key.id.to_bytes());
        let signature = key.sign(Purpose::Token, [token.as_slice()]).finalize().into_bytes();
        token.extend(&signature[..SIGNATURE_LEN]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Reads a cursor. Uses nothing but the key's id before the signature is verified.
    pub(crate) fn read(keys: &CursorKeys, scope: &Scope, text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT_LEN {
            return None;
        }
        // Each cursor has one text: padding and unused bits are refused.
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let signed_len = bytes.len().checked_sub(SIGNATURE_LEN)?;
        let (signed, signature) = bytes.split_at_checked(signed_len)?;
        let (&[version], rest) = signed.split_first_chunk()?;
        let (&expires_at, rest) = rest.split_first_chunk()?;
        let (&[side], rest) = rest.split_first_chunk()?;
        let (signed_owner, rest) = rest.split_first_chunk::<HASH_LEN>()?;
        let (signed_query, rest) = rest.split_first_chunk::<HASH_LEN>()?;
        let (&[id_len], rest) = rest.split_first_chunk()?;
        let (key_id, rest) = rest.split_at_checked(usize::from(id_len).min(MAX_ID_LEN))?;
        let key = keys.find(key_id)?;
        // Compares in constant time.
        key.sign(Purpose::Token, [signed]).verify_truncated_left(signature).ok()?;

        let (&at, id) = rest.split_first_chunk()?;
        let at = DateTime::from_timestamp_micros(i64::from_be_bytes(at))?;
        let (direction, boundary) = match (version, side) {
            (VERSION, 0) => (Direction::Next, Boundary::Exclusive),
            (VERSION, 1) => (Direction::Prev, Boundary::Exclusive),
            (VERSION, 2) => (Direction::Next, Boundary::Inclusive),
            (VERSION, 3) => (Direction::Prev, Boundary::Inclusive),
            _ => return None,
        };
        let position = Position { direction, boundary, key: SortKey { at, id: K::from_bytes(id)? } };
        Some(Self {
            expires_at: i64::from_be_bytes(expires_at),
            position,
            has_same_owner: *signed_owner == owner(key, scope),
            has_same_query: *signed_query == query(key, scope),
        })
    }
}

fn owner(key: &Key, scope: &Scope) -> Hash {
    hash(key, Purpose::Owner, [scope.tenant.as_str(), &scope.route])
}

fn query(key: &Key, scope: &Scope) -> Hash {
    let filters = scope.filters.iter().flat_map(|(name, value)| [*name, value.as_str()]);
    hash(key, Purpose::Query, iter::once(scope.sort.into()).chain(filters))
}

fn hash<'a>(key: &Key, purpose: Purpose, parts: impl IntoIterator<Item = &'a str>) -> Hash {
    let whole = key.sign(purpose, parts.into_iter().map(str::as_bytes)).finalize().into_bytes();
    *whole.first_chunk().expect("SHA-256 is longer")
}
