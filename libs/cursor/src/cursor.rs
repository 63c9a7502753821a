//! Cursors: positions of keyset pagination, signed and bound to one list.

use std::time::Duration;

use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

use crate::{CursorKeys, Limit, List, Scope, token::Token};

/// Encodes and decodes cursors.
#[derive(Clone, Debug)]
pub struct Cursors {
    keys: CursorKeys,
    lifetime: Duration,
}

/// Why a cursor is refused, in the order of the checks. Texts continue "the cursor …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CursorError {
    /// Not signed with one of the keys: damaged, changed, made up, or its key was removed.
    #[error("was not issued by this service, or was changed")]
    Invalid,
    /// Genuine, but of another tenant or another route.
    #[error("belongs to another tenant or to another list")]
    Foreign,
    /// Genuine and of this list, but too old.
    #[error("has expired")]
    Expired,
    /// Genuine and of this list, but for other filters or another order.
    #[error("was made for other filters or another order")]
    Mismatch,
}

/// Where a page begins, and on which side of that row the page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<K> {
    /// The side of the row.
    pub direction: Direction,
    /// Whether the row itself belongs to the page.
    pub boundary: Boundary,
    /// The sort key of the row.
    pub key: SortKey<K>,
}

/// A side of a row, in the order of the list. Cursors contain the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The rows after it.
    Next = 0,
    /// The rows before it.
    Prev = 1,
}

/// Whether the comparison with a sort key includes equality. Cursors contain the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The page begins after the row (`<`, `>`).
    Exclusive = 0,
    /// The page begins with the row, if the row still exists (`<=`, `>=`): the way back from an empty page.
    Inclusive = 1,
}

/// The sort key of a row: a time that never changes, and an identifier as the tie-breaker.
///
/// A cursor contains only the key, so the row itself may be deleted between two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey<K> {
    /// In microseconds, the resolution of PostgreSQL; a finer time is truncated.
    pub at: DateTime<Utc>,
    /// Unique among the rows of the same time.
    pub id: K,
}

/// An identifier in a sort key.
pub trait TieBreaker: Sized {
    /// Returns the bytes of the identifier: at most 600, or the cursor is refused.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads the output of [`to_bytes`](Self::to_bytes); `None` for other bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl TieBreaker for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl TieBreaker for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl Cursors {
    /// Makes cursors that expire after `lifetime`.
    pub fn new(keys: CursorKeys, lifetime: Duration) -> Self {
        Self { keys, lifetime }
    }

    /// Encodes a position in a list as a cursor, which needs no escaping in a URL.
    pub fn encode<K: TieBreaker>(&self, scope: &Scope, position: &Position<K>, now: DateTime<Utc>) -> String {
        let lifetime_s = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_at = now.timestamp().saturating_add(lifetime_s);
        Token::write(self.keys.signing(), scope, expires_at, position)
    }

    /// Verifies and decodes a cursor. Accepts any text.
    pub fn decode<K: TieBreaker>(
        &self,
        scope: &Scope,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Position<K>, CursorError> {
        let token = Token::read(&self.keys, scope, text).ok_or(CursorError::Invalid)?;
        if !token.has_same_owner {
            return Err(CursorError::Foreign);
        }
        if token.expires_at <= now.timestamp() {
            return Err(CursorError::Expired);
        }
        if !token.has_same_query {
            return Err(CursorError::Mismatch);
        }
        Ok(token.position)
    }

    /// Starts the response to a request: the first page, or the page of the cursor.
    pub fn list<K: TieBreaker>(
        &self,
        scope: Scope,
        limit: Limit,
        cursor: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<List<'_, K>, CursorError> {
        let position = cursor.map(|text| self.decode(&scope, text, now)).transpose()?;
        Ok(List::new(self, scope, limit, position, now))
    }
}

#[cfg(test)]
mod tests;
