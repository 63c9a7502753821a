//! From rows to a page.

use chrono::{DateTime, Utc};

use crate::{Anchor, AnchorId, Cursors, Position, Scope, Start, Toward, Window, link};

/// A list of which one page is being answered.
pub struct List<'a, K> {
    cursors: &'a Cursors,
    scope: Scope,
    window: Window<K>,
    now: DateTime<Utc>,
}

/// One page, in the order of the list whichever way it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the page after this one; `None` is the end of the list.
    pub next: Option<String>,
    /// The cursor of the page before this one; `None` is the beginning of the list.
    pub prev: Option<String>,
}

impl<'a, K: AnchorId> List<'a, K> {
    pub(crate) fn new(cursors: &'a Cursors, scope: Scope, window: Window<K>, now: DateTime<Utc>) -> Self {
        Self { cursors, scope, window, now }
    }

    /// What to fetch.
    pub const fn window(&self) -> &Window<K> {
        &self.window
    }

    /// Makes the page of the rows that were fetched: those of the window, in the order of its scan.
    pub fn page<T>(&self, mut rows: Vec<T>, anchor: impl Fn(&T) -> Anchor<K>) -> Page<T>
    where
        K: Clone,
    {
        let shown = usize::from(self.window.limit().get());
        let goes_on = rows.len() > shown;
        rows.truncate(shown);
        let came_from = self.window.position();
        let toward = came_from.map_or(Toward::Next, |position| position.toward);
        if toward == Toward::Prev {
            rows.reverse();
        }
        let beyond = |row: Option<&T>, toward| {
            row.map(|row| Position { toward, start: Start::Beyond, anchor: anchor(row) })
        };
        // The way back is there even when rows are deleted meanwhile; from an empty page it leads to the anchor itself.
        let back = |row: Option<&T>, toward| {
            let came_from = came_from?;
            beyond(row, toward).or(Some(Position {
                toward,
                start: Start::At,
                anchor: came_from.anchor.clone(),
            }))
        };
        let on = |row: Option<&T>, toward| if goes_on { beyond(row, toward) } else { None };
        let (next, prev) = match toward {
            Toward::Next => (on(rows.last(), Toward::Next), back(rows.first(), Toward::Prev)),
            Toward::Prev => (back(rows.last(), Toward::Next), on(rows.first(), Toward::Prev)),
        };
        let seal = |position: Position<K>| self.cursors.seal(&self.scope, &position, self.now);
        Page { next: next.map(seal), prev: prev.map(seal), items: rows }
    }

    /// Makes the value of the `Link` header (RFC 8288) with the pages beside this one, if there are any.
    ///
    /// Targets are relative references that begin with the route, so they hold behind any host name.
    pub fn link<T>(&self, page: &Page<T>) -> Option<String> {
        link::header(&self.scope, self.window.limit(), page.next.as_deref(), page.prev.as_deref())
    }
}

#[cfg(test)]
mod tests;
