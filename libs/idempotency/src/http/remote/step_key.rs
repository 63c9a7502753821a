//! The idempotency key of a call to another system.

use std::fmt;

use sha2::{Digest, Sha256};

use super::store::Claim;

/// Used bytes of the hash: enough against collisions, and short enough for every API.
const LEN: usize = 16;

/// An idempotency key for one step, the same in every attempt.
///
/// 32 hexadecimal digits: a hash of operation, tenant, the client's key, the request body and the step. It does not reveal the
/// client's key.
///
/// It contains nothing random, so it stays the same if the row is lost and the client repeats the request. It contains the
/// body, so a key that is reused for another request later gives another step key.
#[derive(Clone, PartialEq, Eq)]
pub struct StepKey(String);

impl StepKey {
    pub(super) fn derive(operation: &str, claim: &Claim, step: &str) -> Self {
        Self::hash(&[
            operation.as_bytes(),
            claim.tenant.as_bytes(),
            claim.key.as_str().as_bytes(),
            &claim.body_hash,
            step.as_bytes(),
        ])
    }

    fn hash(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length makes different lists of parts different texts.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hex::encode(&hash.finalize()[..LEN]))
    }

    /// Returns the text to send.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A step key gives access to the response of the other system, so it is not printed.
impl fmt::Debug for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_matters_and_where_it_ends() {
        let key = StepKey::hash(&[b"buy", b"acme", b"k"]);
        assert_eq!(key, StepKey::hash(&[b"buy", b"acme", b"k"]));
        assert_eq!(key.as_str().len(), 32);
        let others: [&[&[u8]]; 3] = [&[b"buy", b"acm", b"ek"], &[b"buy", b"acme", b"l"], &[b"buy", b"acmek"]];
        for other in others {
            assert_ne!(key, StepKey::hash(other));
        }
    }
}
