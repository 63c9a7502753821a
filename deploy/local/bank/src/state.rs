//! State that the HTTP handlers share.

use std::{fmt, str::FromStr, sync::Arc};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::{book::Book, domain::Misbehaviour};

/// The present misbehaviour. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Switch(Arc<Mutex<Misbehaviour>>);

impl Switch {
    pub(crate) fn new(misbehaviour: Misbehaviour) -> Self {
        Self(Arc::new(Mutex::new(misbehaviour)))
    }

    pub(crate) fn get(&self) -> Misbehaviour {
        self.0.lock().clone()
    }

    pub(crate) fn set(&self, misbehaviour: Misbehaviour) {
        *self.0.lock() = misbehaviour;
    }
}

/// The digest of the key that clients present. Comparing digests takes a time that tells nothing about the key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey([u8; 32]);

/// Characters of a key at least.
const MIN_KEY_LEN: usize = 16;

/// The text cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {MIN_KEY_LEN} visible ASCII characters; `openssl rand -hex 32` makes one")]
pub(crate) struct InvalidApiKey;

impl ApiKey {
    pub(crate) fn matches(&self, presented: &str) -> bool {
        *self == Self(Sha256::digest(presented).into())
    }
}

impl FromStr for ApiKey {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<Self, InvalidApiKey> {
        let is_valid = text.len() >= MIN_KEY_LEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(Sha256::digest(text).into())) } else { Err(InvalidApiKey) }
    }
}

/// Prints nothing of the key.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

pub(crate) struct State {
    pub(crate) book: Arc<Book>,
    pub(crate) switch: Switch,
    pub(crate) key: ApiKey,
}
