//! Signed tracking tokens: a token gives access to the public page of one order until it expires.
//!
//! A token is base64url of `version | order id | expiry | HMAC-SHA256 of all of these`. It contains no tenant and no customer, cannot be
//! guessed or changed, and needs no storage. The token of an order is always the same.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use uuid::Uuid;

/// First byte of a token. Another key or another format gets another version.
const VERSION: u8 = 1;

/// Version, order id and expiry in seconds since 1970.
const CLAIM_LEN: usize = 1 + 16 + 8;
const MAC_LEN: usize = 32;

const MAX_TOKEN_LEN: usize = 128;

#[derive(Clone)]
pub(crate) struct TrackingKey([u8; 32]);

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TrackingError {
    #[error("the tracking token is not valid")]
    Invalid,
    #[error("the tracking token has expired")]
    Expired,
}

impl TrackingKey {
    /// Reads a key of 32 bytes in hexadecimal.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).ok()?;
        Some(Self(key))
    }

    pub(crate) fn token(&self, order_id: Uuid, expires_at: DateTime<Utc>) -> String {
        let mut token = Vec::with_capacity(CLAIM_LEN + MAC_LEN);
        token.push(VERSION);
        token.extend_from_slice(order_id.as_bytes());
        token.extend_from_slice(&expires_at.timestamp().to_be_bytes());
        let mac = self.mac(&token).finalize().into_bytes();
        token.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(token)
    }

    pub(crate) fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Uuid, TrackingError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TrackingError::Invalid);
        }
        let token = URL_SAFE_NO_PAD.decode(token).or(Err(TrackingError::Invalid))?;
        let (claim, mac) = token.split_at_checked(CLAIM_LEN).ok_or(TrackingError::Invalid)?;
        // Compares in constant time.
        self.mac(claim).verify_slice(mac).or(Err(TrackingError::Invalid))?;
        let (id, expiry) = match claim {
            [VERSION, rest @ ..] => rest.split_at_checked(16).ok_or(TrackingError::Invalid)?,
            _ => return Err(TrackingError::Invalid),
        };
        let expiry = i64::from_be_bytes(expiry.try_into().or(Err(TrackingError::Invalid))?);
        if expiry <= now.timestamp() {
            return Err(TrackingError::Expired);
        }
        Uuid::from_slice(id).or(Err(TrackingError::Invalid))
    }

    fn mac(&self, claim: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(b"muster order tracking");
        mac.update(claim);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> TrackingKey {
        TrackingKey([byte; 32])
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_valid_for_its_order_until_it_expires() {
        let id = Uuid::now_v7();
        let token = key(1).token(id, at(1_000));
        assert_eq!(key(1).verify(&token, at(999)), Ok(id));
        assert_eq!(key(1).verify(&token, at(1_000)), Err(TrackingError::Expired));
        assert_eq!(key(2).verify(&token, at(999)), Err(TrackingError::Invalid));
    }

    proptest! {
        #[test]
        fn a_changed_token_is_invalid(position in 0_usize..CLAIM_LEN + MAC_LEN, flip in 1_u8..) {
            let token = key(1).token(Uuid::now_v7(), at(i64::from(u32::MAX)));
            let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
            bytes[position] ^= flip;
            prop_assert_eq!(key(1).verify(&URL_SAFE_NO_PAD.encode(bytes), at(0)), Err(TrackingError::Invalid));
        }

        #[test]
        fn no_text_causes_a_panic(text in "\\PC{0,160}") {
            prop_assert_eq!(key(1).verify(&text, at(0)), Err(TrackingError::Invalid));
        }
    }
}
