//! Making and opening cursors.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{AnchorId, CursorError, CursorKeys, Limit, List, Position, Scope, Window, token};

/// Makes cursors and opens them.
#[derive(Clone, Debug)]
pub struct Cursors {
    keys: CursorKeys,
    lifetime: Duration,
}

impl Cursors {
    /// Takes the keys, and how long a cursor is good after the page that had it.
    pub fn new(keys: CursorKeys, lifetime: Duration) -> Self {
        Self { keys, lifetime }
    }

    /// Makes the cursor of a position in a list. It can stand in a URL as it is.
    pub fn seal<K: AnchorId>(&self, scope: &Scope, position: &Position<K>, now: DateTime<Utc>) -> String {
        let lifetime_s = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_at = now.timestamp().saturating_add(lifetime_s);
        token::write(self.keys.signing(), scope, expires_at, position)
    }

    /// Opens a cursor, whatever text it is. The first that is wrong is reported, in the order of [`CursorError`].
    pub fn open<K: AnchorId>(
        &self,
        scope: &Scope,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Position<K>, CursorError> {
        let token = token::read(&self.keys, scope, text)?;
        if !token.has_same_owner() {
            return Err(CursorError::Foreign);
        }
        if token.expires_at <= now.timestamp() {
            return Err(CursorError::Expired);
        }
        if !token.has_same_question() {
            return Err(CursorError::Mismatch);
        }
        Ok(token.position)
    }

    /// Begins the answer to a request for a page: the first page, or the one that the cursor leads to.
    pub fn list<K: AnchorId>(
        &self,
        scope: Scope,
        limit: Limit,
        cursor: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<List<'_, K>, CursorError> {
        let position = cursor.map(|text| self.open(&scope, text, now)).transpose()?;
        let window = Window::new(scope.sort(), position, limit);
        Ok(List::new(self, scope, window, now))
    }
}

#[cfg(test)]
mod tests;
