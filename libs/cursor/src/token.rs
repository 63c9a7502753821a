//! The bytes of a cursor.
//!
//! ```text
//! version 1 | expiry 8 | side 1 | owner 8 | question 8 | key id 1 + n | time 8 | id n | signature 16
//! ```
//!
//! Numbers are big-endian; the expiry is in seconds, the time in microseconds since 1970. The signature covers all that
//! stands before it. Owner (tenant and route) and question (filters and order) are keyed hashes of what the request says
//! itself: nobody without the key can find out a filter by guessing it. They tell one mistake from another; what keeps
//! tenants apart is that queries take the tenant from the caller's token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use hmac::Mac;

use crate::{
    Anchor, AnchorId, CursorError, CursorKeys, Position, Scope, Start, Toward,
    key::{Key, MAX_ID_LEN, Purpose},
};

/// How the rest is made.
const VERSION: u8 = 1;

/// Half of HMAC-SHA256, beyond any guessing, and half the length in every link.
const SIGNATURE_LEN: usize = 16;

/// Long enough that two filters do not meet by accident.
const HASH_LEN: usize = 8;

/// Longest text that is looked at.
const MAX_TEXT_LEN: usize = 1_024;

type Hash = [u8; HASH_LEN];

/// A cursor whose signature is good.
pub(crate) struct Token<K> {
    /// Seconds since 1970.
    pub(crate) expires_at: i64,
    pub(crate) position: Position<K>,
    owner: Hash,
    question: Hash,
    expected: (Hash, Hash),
}

impl<K> Token<K> {
    /// Whether it was made for this tenant and route.
    pub(crate) fn has_same_owner(&self) -> bool {
        self.owner == self.expected.0
    }

    /// Whether it was made for these filters and this order.
    pub(crate) fn has_same_question(&self) -> bool {
        self.question == self.expected.1
    }
}

/// Writes a cursor down.
pub(crate) fn write<K: AnchorId>(
    key: &Key,
    scope: &Scope,
    expires_at: i64,
    position: &Position<K>,
) -> String {
    let id = key.id().as_bytes();
    let id_len = u8::try_from(id.len()).expect("ids of keys are short");
    let mut token = vec![VERSION];
    token.extend(expires_at.to_be_bytes());
    token.push(side(position.toward, position.start));
    token.extend(owner(key, scope));
    token.extend(question(key, scope));
    token.push(id_len);
    token.extend(id);
    token.extend(position.anchor.at.timestamp_micros().to_be_bytes());
    token.extend(position.anchor.id.to_bytes());
    let signature = key.sign(Purpose::Token, [token.as_slice()]).finalize().into_bytes();
    token.extend(&signature[..SIGNATURE_LEN]);
    URL_SAFE_NO_PAD.encode(token)
}

/// Reads a cursor. Nothing in it but the key's id is looked at before the signature is found to be good.
pub(crate) fn read<K: AnchorId>(
    keys: &CursorKeys,
    scope: &Scope,
    text: &str,
) -> Result<Token<K>, CursorError> {
    if text.len() > MAX_TEXT_LEN {
        return Err(CursorError::Invalid);
    }
    // Every cursor has one text: padding and bits that belong to no byte are refused.
    let bytes = URL_SAFE_NO_PAD.decode(text).or(Err(CursorError::Invalid))?;
    parse(keys, scope, &bytes).ok_or(CursorError::Invalid)
}

fn parse<K: AnchorId>(keys: &CursorKeys, scope: &Scope, bytes: &[u8]) -> Option<Token<K>> {
    let signed_len = bytes.len().checked_sub(SIGNATURE_LEN)?;
    let (signed, signature) = bytes.split_at_checked(signed_len)?;
    let (&[version], rest) = signed.split_first_chunk()?;
    let (&expires_at, rest) = rest.split_first_chunk()?;
    let (&[side], rest) = rest.split_first_chunk()?;
    let (&owner_then, rest) = rest.split_first_chunk::<HASH_LEN>()?;
    let (&question_then, rest) = rest.split_first_chunk::<HASH_LEN>()?;
    let (&[id_len], rest) = rest.split_first_chunk()?;
    let (key_id, rest) = rest.split_at_checked(usize::from(id_len).min(MAX_ID_LEN))?;
    let key = keys.find(key_id)?;
    // Compares in constant time.
    key.sign(Purpose::Token, [signed]).verify_truncated_left(signature).ok()?;

    let (&at, id) = rest.split_first_chunk()?;
    let (toward, start) = (version == VERSION).then(|| side_of(side))??;
    let anchor =
        Anchor { at: DateTime::from_timestamp_micros(i64::from_be_bytes(at))?, id: K::from_bytes(id)? };
    Some(Token {
        expires_at: i64::from_be_bytes(expires_at),
        position: Position { toward, start, anchor },
        owner: owner_then,
        question: question_then,
        expected: (owner(key, scope), question(key, scope)),
    })
}

fn owner(key: &Key, scope: &Scope) -> Hash {
    hash(key, Purpose::Owner, [scope.tenant(), scope.route()])
}

fn question(key: &Key, scope: &Scope) -> Hash {
    let filters = scope.filters().iter().flat_map(|(name, value)| [*name, value.as_str()]);
    hash(key, Purpose::Question, std::iter::once(scope.sort().as_str()).chain(filters))
}

fn hash<'a>(key: &Key, purpose: Purpose, parts: impl IntoIterator<Item = &'a str>) -> Hash {
    let whole = key.sign(purpose, parts.into_iter().map(str::as_bytes)).finalize().into_bytes();
    *whole.first_chunk().expect("SHA-256 is longer")
}

const fn side(toward: Toward, start: Start) -> u8 {
    match (toward, start) {
        (Toward::Next, Start::Beyond) => 0,
        (Toward::Prev, Start::Beyond) => 1,
        (Toward::Next, Start::At) => 2,
        (Toward::Prev, Start::At) => 3,
    }
}

const fn side_of(byte: u8) -> Option<(Toward, Start)> {
    match byte {
        0 => Some((Toward::Next, Start::Beyond)),
        1 => Some((Toward::Prev, Start::Beyond)),
        2 => Some((Toward::Next, Start::At)),
        3 => Some((Toward::Prev, Start::At)),
        _ => None,
    }
}
