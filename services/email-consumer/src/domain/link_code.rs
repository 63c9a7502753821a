//! The code of the short link of an order: an HMAC of the order id. It is the same for every attempt and cannot be guessed.

use std::str::FromStr;

use derive_more::Debug;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 62^12 codes, about 71 bits: codes of two orders do not collide, and a code cannot be guessed.
const LENGTH: usize = 12;

#[derive(Clone, Debug)]
#[debug("LinkCodeKey(redacted)")]
pub(crate) struct LinkCodeKey([u8; 32]);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 bytes as 64 hexadecimal digits; create one with `openssl rand -hex 32`")]
pub(crate) struct InvalidLinkCodeKey;

impl LinkCodeKey {
    pub(crate) fn code(&self, order_id: Uuid) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(order_id.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let (head, _) = digest.split_first_chunk::<16>().expect("a digest has more than 16 bytes");
        // The modulo of 128 bits over 62^12 values has no noticeable bias.
        let mut rest = u128::from_be_bytes(*head);
        (0..LENGTH)
            .map(|_| {
                let digit = usize::try_from(rest % 62).expect("a number below 62 fits");
                rest /= 62;
                char::from(ALPHABET[digit])
            })
            .collect()
    }
}

impl FromStr for LinkCodeKey {
    type Err = InvalidLinkCodeKey;

    fn from_str(text: &str) -> Result<Self, InvalidLinkCodeKey> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).or(Err(InvalidLinkCodeKey))?;
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: &str) -> LinkCodeKey {
        byte.repeat(32).parse().expect("a key")
    }

    #[test]
    fn a_code_has_twelve_letters_and_digits_and_is_always_the_same() {
        let order_id = Uuid::from_u128(0x0193_a7c2_5b1e_7d3f_8a4c_2e9f_7f3a_92c1);
        let code = key("5a").code(order_id);
        assert_eq!(code.len(), LENGTH);
        assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
        assert_eq!(code, key("5a").code(order_id));
    }

    #[test]
    fn codes_differ_by_order_and_by_key() {
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_ne!(key("5a").code(first), key("5a").code(second));
        assert_ne!(key("5a").code(first), key("5b").code(first));
    }

    #[test]
    fn a_key_has_32_bytes_in_hexadecimal_and_debug_hides_it() {
        for bad in ["", "5a", &"5a".repeat(31), &"5a".repeat(33), &"zz".repeat(32)] {
            assert_eq!(bad.parse::<LinkCodeKey>().err(), Some(InvalidLinkCodeKey), "{bad}");
        }
        assert_eq!(format!("{:?}", key("5a")), "LinkCodeKey(redacted)");
    }
}
