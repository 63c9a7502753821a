//! Keys of webhooks, with rotation.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

/// The prefix of a key as text.
const PREFIX: &str = "whsec_";

/// Lengths of a key, in bytes.
const MIN_LEN: usize = 24;
const MAX_LEN: usize = 64;

/// Keys at most: each costs an HMAC per signature.
const MAX_KEYS: usize = 4;

/// The keys that sender and receiver share. A sender signs with all of them, and a receiver accepts each.
#[derive(Clone)]
pub struct Keys(Vec<Vec<u8>>);

/// Why a list of keys is refused. The texts never contain a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// Too many keys.
    #[error("there must be 1 to {MAX_KEYS} keys, separated by commas")]
    Count,
    /// A text that is not a key; the number is its position in the list, from 1.
    #[error("key {0} of the list is not {PREFIX} and {MIN_LEN} to {MAX_LEN} bytes in base64")]
    Form(usize),
}

impl Keys {
    /// Parses `whsec_…,whsec_…`.
    ///
    /// # Errors
    /// The list is too long, or one of its texts is not a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let entries = (1..).zip(text.split(','));
        let keys = entries.map(|(position, entry)| key(entry).ok_or(InvalidKeys::Form(position)));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.len() > MAX_KEYS { Err(InvalidKeys::Count) } else { Ok(Self(keys)) }
    }

    /// Begins a signature by each key.
    pub(crate) fn macs(&self) -> impl Iterator<Item = Hmac<Sha256>> + '_ {
        self.0.iter().map(|key| Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }
}

/// Prints only the number of keys.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

fn key(entry: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(entry.trim().strip_prefix(PREFIX)?).ok()?;
    (MIN_LEN..=MAX_LEN).contains(&key.len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes]))
    }

    #[test]
    fn keys_of_24_to_64_bytes_are_accepted() {
        for list in [text(24), text(64), format!("{}, {}", text(32), text(24))] {
            assert!(Keys::parse(&list).is_ok(), "{list}");
        }
    }

    #[test]
    fn an_invalid_list_of_keys_is_refused_without_repeating_it() {
        let good = text(32);
        for (list, error) in [
            (String::new(), InvalidKeys::Form(1)),
            (STANDARD.encode([7; 32]), InvalidKeys::Form(1)),
            (text(23), InvalidKeys::Form(1)),
            (text(65), InvalidKeys::Form(1)),
            (format!("{good},{PREFIX}secret"), InvalidKeys::Form(2)),
            (format!("{good},"), InvalidKeys::Form(2)),
            ([good.as_str(); 5].join(","), InvalidKeys::Count),
        ] {
            assert_eq!(Keys::parse(&list).unwrap_err(), error, "{list}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn debug_output_has_no_key() {
        assert_eq!(format!("{:?}", Keys::parse(&text(32)).unwrap()), "Keys(1)");
    }
}
