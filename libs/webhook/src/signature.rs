//! The signature of a webhook, and the headers that carry it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::Keys;

/// The header with the id of a webhook: the same for every attempt to deliver it.
pub const ID: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";

/// The version of the scheme, before each signature.
const VERSION: &str = "v1,";

/// How far the time of a webhook may be from that of the receiver: the replay window.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Signatures of a webhook that are compared at most: a forged header must not cost more.
const MAX_SIGNATURES: usize = 8;

/// The headers of a webhook that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    /// The id: the receiver handles each once.
    pub id: &'a str,
    /// The time of the attempt.
    pub timestamp: &'a str,
    /// The signatures.
    pub signature: &'a str,
}

/// Why a webhook is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is missing or malformed.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// It is too old, or from the future: a replay, or one of the clocks is wrong.
    #[error("its time is more than {} minutes from now", WINDOW.num_minutes())]
    Window,
    /// No signature is by a key of the receiver.
    #[error("no signature matches")]
    Signature,
}

impl<'a> Headers<'a> {
    /// Reads the headers; `get` returns the value of one.
    ///
    /// # Errors
    /// A header is missing.
    pub fn read(get: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, Refused> {
        let header = |name| get(name).ok_or(Refused::Header(name));
        Ok(Self { id: header(ID)?, timestamp: header(TIMESTAMP)?, signature: header(SIGNATURE)? })
    }
}

impl Keys {
    /// Returns the headers of a webhook that is sent at this time, with a signature by each key. The id has no full stop.
    pub fn sign(&self, id: &str, at: DateTime<Utc>, body: &[u8]) -> [(&'static str, String); 3] {
        let timestamp = at.timestamp().to_string();
        let signatures = self.macs().map(|mac| {
            let signature = signed(mac, id, &timestamp, body).finalize().into_bytes();
            format!("{VERSION}{}", STANDARD.encode(signature))
        });
        let signatures = signatures.collect::<Vec<_>>().join(" ");
        [(ID, id.to_owned()), (TIMESTAMP, timestamp), (SIGNATURE, signatures)]
    }

    /// Verifies a webhook that arrived at this time, from the bytes of its body as they arrived.
    ///
    /// # Errors
    /// A header is malformed, the time is outside the replay window, or no signature is by one of these keys.
    pub fn verify(&self, headers: &Headers<'_>, body: &[u8], now: DateTime<Utc>) -> Result<(), Refused> {
        let Headers { id, timestamp, signature } = *headers;
        if id.is_empty() || id.contains('.') {
            return Err(Refused::Header(ID));
        }
        let seconds = timestamp.parse().ok().filter(|_| timestamp.bytes().all(|byte| byte.is_ascii_digit()));
        let sent = seconds
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .ok_or(Refused::Header(TIMESTAMP))?;
        if (now - sent).abs() > WINDOW {
            return Err(Refused::Window);
        }
        let candidates = signature.split(' ').take(MAX_SIGNATURES);
        let candidates = candidates.filter_map(|text| STANDARD.decode(text.strip_prefix(VERSION)?).ok());
        for candidate in candidates {
            // Compares in constant time.
            if self.macs().any(|mac| signed(mac, id, timestamp, body).verify_slice(&candidate).is_ok()) {
                return Ok(());
            }
        }
        Err(Refused::Signature)
    }
}

fn signed(mut mac: Hmac<Sha256>, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation and the libraries of Standard Webhooks.
    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const PUBLISHED: Headers<'_> = Headers {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };

    fn keys(text: &str) -> Keys {
        Keys::parse(text).unwrap()
    }

    fn other_key(byte: u8) -> String {
        format!("whsec_{}", STANDARD.encode([byte; 24]))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_614_265_330 + seconds, 0).unwrap()
    }

    #[test]
    fn a_published_signature_is_reproduced_and_verified() {
        let sent = keys(KEY).sign(PUBLISHED.id, at(0), BODY);
        let header = |name| sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.as_str());
        assert_eq!(Headers::read(header), Ok(PUBLISHED));
        assert_eq!(keys(KEY).verify(&PUBLISHED, BODY, at(0)), Ok(()));
    }

    #[test]
    fn a_changed_webhook_is_refused() {
        let verify = |headers: Headers<'_>, body: &[u8]| keys(KEY).verify(&headers, body, at(0));
        assert_eq!(verify(Headers { id: "msg_other", ..PUBLISHED }, BODY), Err(Refused::Signature));
        assert_eq!(verify(Headers { timestamp: "1614265331", ..PUBLISHED }, BODY), Err(Refused::Signature));
        for at in 0..BODY.len() {
            let mut changed = BODY.to_vec();
            changed[at] ^= 1;
            assert_eq!(verify(PUBLISHED, &changed), Err(Refused::Signature), "byte {at}");
        }
        assert_eq!(verify(PUBLISHED, &BODY[1..]), Err(Refused::Signature));
        for signature in [
            "",
            "v1,",
            "v1,AAAA",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=",
            // Another version, none, a part of it, another separator.
            "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "v1,g0hM9SsE+OTPJTGt/tmIKg==",
            "v1,AAAA,v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ] {
            let refused = verify(Headers { signature, ..PUBLISHED }, BODY);
            assert_eq!(refused, Err(Refused::Signature), "{signature}");
        }
    }

    #[test]
    fn a_webhook_outside_the_replay_window_is_refused() {
        for (seconds, expected) in
            [(-301, Err(Refused::Window)), (-300, Ok(())), (300, Ok(())), (301, Err(Refused::Window))]
        {
            assert_eq!(keys(KEY).verify(&PUBLISHED, BODY, at(seconds)), expected, "{seconds} s");
        }
    }

    #[test]
    fn one_common_key_is_enough() {
        let (old, new) = (other_key(1), other_key(2));
        let both = format!("{old},{new}");
        for (sender, receiver, expected) in [
            (&old, &both, Ok(())),
            (&both, &old, Ok(())),
            (&both, &new, Ok(())),
            (&new, &both, Ok(())),
            (&old, &new, Err(Refused::Signature)),
        ] {
            let sent = keys(sender).sign("msg_1", at(0), BODY);
            let [(_, id), (_, timestamp), (_, signature)] = &sent;
            let headers = Headers { id, timestamp, signature };
            assert_eq!(keys(receiver).verify(&headers, BODY, at(0)), expected, "{headers:?}");
        }
    }

    #[test]
    fn signatures_beyond_the_limit_are_not_compared() {
        let at_position = |position: usize| {
            let mut signatures = vec!["v1,AAAA"; position];
            signatures.push(PUBLISHED.signature);
            keys(KEY).verify(&Headers { signature: &signatures.join(" "), ..PUBLISHED }, BODY, at(0))
        };
        assert_eq!(at_position(MAX_SIGNATURES - 1), Ok(()));
        assert_eq!(at_position(MAX_SIGNATURES), Err(Refused::Signature));
    }

    #[test]
    fn a_missing_or_malformed_header_is_named() {
        let verify = |headers: Headers<'_>| keys(KEY).verify(&headers, BODY, at(0));
        for id in ["", "msg.1"] {
            assert_eq!(verify(Headers { id, ..PUBLISHED }), Err(Refused::Header(ID)), "{id}");
        }
        for timestamp in ["", "now", "-1614265330", "+1614265330", "1614265330.5", "99999999999999999999"] {
            let refused = verify(Headers { timestamp, ..PUBLISHED });
            assert_eq!(refused, Err(Refused::Header(TIMESTAMP)), "{timestamp}");
        }
        assert_eq!(Headers::read(|name| (name != SIGNATURE).then_some("")), Err(Refused::Header(SIGNATURE)));
    }
}
