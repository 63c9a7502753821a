//! Signing keys of cursors, with rotation.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Characters of a key's id at most.
pub(crate) const MAX_ID_LEN: usize = 16;

/// Keys at most: one that signs, and the older ones of cursors in flight.
const MAX_KEYS: usize = 8;

/// Signing keys, each with an id that its cursors contain: the first key signs, all keys verify.
///
/// To rotate, add the new key at the end of the list on every replica, then move it to the front, and remove the old key
/// after the lifetime of a cursor. Cursors in flight stay valid.
#[derive(Clone)]
pub struct CursorKeys(Vec<Key>);

/// One key. It signs for three purposes; a signature for one purpose is not valid for another.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    secret: [u8; KEY_LEN],
}

/// The purpose of a signature (domain separation).
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The whole cursor.
    Token,
    /// The tenant and the route.
    Owner,
    /// The filters and the order.
    Query,
}

/// Why a list of keys is refused. The texts never contain a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCursorKeys {
    /// No key, or too many.
    #[error("there must be 1 to {MAX_KEYS} keys, separated by commas")]
    Count,
    /// A key is not `id:key`.
    #[error(
        "key {0} of the list is not id:key, with an id of 1 to {MAX_ID_LEN} characters of a-z, 0-9 and -, and \
         a key of {KEY_LEN} bytes in hexadecimal"
    )]
    Form(usize),
    /// Two keys have the same id.
    #[error("key {0} of the list has the id of an earlier one")]
    Duplicate(usize),
}

impl CursorKeys {
    /// Parses `id:key,id:key…`, keys in hexadecimal. The first key signs.
    pub fn parse(text: &str) -> Result<Self, InvalidCursorKeys> {
        let mut keys: Vec<Key> = Vec::new();
        for (position, entry) in (1..).zip(text.split(',')) {
            let key = Key::parse(entry.trim()).ok_or(InvalidCursorKeys::Form(position))?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(InvalidCursorKeys::Duplicate(position));
            }
            keys.push(key);
        }
        if keys.len() > MAX_KEYS { Err(InvalidCursorKeys::Count) } else { Ok(Self(keys)) }
    }

    pub(crate) fn signing(&self) -> &Key {
        &self.0[0]
    }

    pub(crate) fn find(&self, id: &[u8]) -> Option<&Key> {
        self.0.iter().find(|key| key.id.as_bytes() == id)
    }
}

/// Prints only the ids, which are not secret.
impl fmt::Debug for CursorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl Key {
    fn parse(entry: &str) -> Option<Self> {
        let (id, key) = entry.split_once(':')?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=MAX_ID_LEN).contains(&id.len()) || !id.bytes().all(plain) {
            return None;
        }
        let mut secret = [0; KEY_LEN];
        hex::decode_to_slice(key, &mut secret).ok()?;
        Some(Self { id: id.to_owned(), secret })
    }

    /// Starts a signature. The length before each part makes different lists of parts different bytes.
    pub(crate) fn sign<'a>(
        &self,
        purpose: Purpose,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(match purpose {
            Purpose::Token => b"cursor 1 token\0",
            Purpose::Owner => b"cursor 1 owner\0",
            Purpose::Query => b"cursor 1 question\0",
        });
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_signs() {
        let text = format!("2025-02:{}, 2025-01:{}", "22".repeat(32), "11".repeat(32));
        let keys = CursorKeys::parse(&text).unwrap();
        assert_eq!(keys.signing().id, "2025-02");
        assert!(keys.find(b"2025-01").is_some() && keys.find(b"2025-03").is_none());
    }

    #[test]
    fn an_invalid_list_of_keys_is_refused_without_repeating_it() {
        let good = "11".repeat(32);
        for (text, error) in [
            (String::new(), InvalidCursorKeys::Form(1)),
            (good.clone(), InvalidCursorKeys::Form(1)),
            (format!(":{good}"), InvalidCursorKeys::Form(1)),
            (format!("A:{good}"), InvalidCursorKeys::Form(1)),
            (format!("{}:{good}", "a".repeat(17)), InvalidCursorKeys::Form(1)),
            (format!("a:{good}00"), InvalidCursorKeys::Form(1)),
            (format!("a:{good},b:11"), InvalidCursorKeys::Form(2)),
            (format!("a:{good},"), InvalidCursorKeys::Form(2)),
            (format!("a:{good},a:{good}"), InvalidCursorKeys::Duplicate(2)),
            ((0..9).map(|n| format!("k{n}:{good}")).collect::<Vec<_>>().join(","), InvalidCursorKeys::Count),
        ] {
            assert_eq!(CursorKeys::parse(&text).unwrap_err(), error, "{text}");
            assert!(!error.to_string().contains("1111"));
        }
    }

    #[test]
    fn debug_output_has_no_key() {
        let keys = CursorKeys::parse(&format!("a:{}", "11".repeat(32))).unwrap();
        assert_eq!(format!("{keys:?}"), r#"["a"]"#);
    }
}
