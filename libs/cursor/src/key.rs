//! The keys that sign cursors.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Characters of a key's id at most.
pub(crate) const MAX_ID_LEN: usize = 16;

/// Keys at most: one that signs, and those that cursors in flight may still be signed with.
const MAX_KEYS: usize = 8;

/// Several keys, each with an id that stands in every cursor it signs: the first signs, all verify.
///
/// To rotate, add the new key at the end of the list on every replica, then move it to the front, and take the old one out
/// when the lifetime of a cursor has passed: no page in flight breaks.
#[derive(Clone)]
pub struct CursorKeys(Vec<Key>);

/// One key. It signs for three purposes, and what is signed for one is never taken for another.
#[derive(Clone)]
pub(crate) struct Key {
    id: String,
    secret: [u8; KEY_LEN],
}

/// What a signature is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The whole cursor.
    Token,
    /// The tenant and the route in it.
    Owner,
    /// The filters and the order in it.
    Question,
}

/// What is wrong with a list of keys. The texts do not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidCursorKeys {
    /// None, or more than can be of use.
    #[error("there must be 1 to {MAX_KEYS} keys, separated by commas")]
    Count,
    /// One is not `id:key`.
    #[error(
        "key {0} of the list is not id:key, with an id of 1 to {MAX_ID_LEN} characters of a-z, 0-9 and -, and \
         a key of {KEY_LEN} bytes in hexadecimal"
    )]
    Form(usize),
    /// Two have the same id.
    #[error("key {0} of the list has the id of an earlier one")]
    Duplicate(usize),
}

impl CursorKeys {
    /// Reads `id:key,id:key…`, keys in hexadecimal, the one that signs first.
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

/// The ids alone: they are no secret, and say which keys are in use.
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

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Begins a signature; each part is preceded by its length, so that no two lists of parts are the same bytes.
    pub(crate) fn sign<'a>(
        &self,
        purpose: Purpose,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        mac.update(match purpose {
            Purpose::Token => b"cursor 1 token\0",
            Purpose::Owner => b"cursor 1 owner\0",
            Purpose::Question => b"cursor 1 question\0",
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
    fn keys_have_ids_and_the_first_signs() {
        let text = format!("2025-02:{}, 2025-01:{}", "22".repeat(32), "11".repeat(32));
        let keys = CursorKeys::parse(&text).unwrap();
        assert_eq!(keys.signing().id(), "2025-02");
        assert!(keys.find(b"2025-01").is_some() && keys.find(b"2025-03").is_none());
    }

    #[test]
    fn what_is_no_list_of_keys_is_refused_and_not_repeated() {
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
