//! The row at which one page ends and the next begins.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The sort key of a row: a time that never changes, and an identifier that tells rows of the same time apart.
///
/// Only the key is kept, so the row itself may be deleted between two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor<K> {
    /// On a microsecond, which is what PostgreSQL stores; anything finer is cut off.
    pub at: DateTime<Utc>,
    /// Unique among the rows of that time.
    pub id: K,
}

/// An identifier that can stand in a cursor.
pub trait AnchorId: Sized {
    /// Returns the identifier's bytes; 600 at most, or the cursor is refused when it comes back.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl AnchorId for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl AnchorId for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}
