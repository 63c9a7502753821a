//! The key that goes with a call to another system.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use super::store::Claim;

/// Bytes of the hash that are used: enough that no two steps share one, and short enough for every API.
const LEN: usize = 16;

/// An idempotency key for one step, the same in every attempt.
///
/// 32 hexadecimal digits, made from the operation, the tenant, the client's key, the body of its request and the step. It does
/// not tell the client's key.
///
/// It would also be the same if the row of the request were lost and the client sent the request again. That is why nothing
/// random is in it, and why the body is: a key that is used for something else, long after, is another one there too.
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
            // With its length, so that no two lists of parts are one text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut hex = String::with_capacity(2 * LEN);
        for byte in hash.finalize().iter().take(LEN) {
            write!(hex, "{byte:02x}").expect("a string takes everything");
        }
        Self(hex)
    }

    /// Returns the text to send.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whoever knows it can see what the other system answered.
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
