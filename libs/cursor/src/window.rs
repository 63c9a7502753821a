//! What a query has to fetch for one page.

use crate::{Anchor, Limit, Position, Sort, Start, Toward};

/// What a query has to fetch for one page: rows beside an anchor, in the order of a scan, one more than the page shows.
///
/// The row too many is how the end is known without counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window<K> {
    scan: Scan,
    position: Option<Position<K>>,
    limit: Limit,
}

/// The order in which a query reads its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// From the earliest: `(at, id) > anchor ORDER BY at, id`.
    Ascending,
    /// From the latest: `(at, id) < anchor ORDER BY at DESC, id DESC`.
    Descending,
}

impl<K> Window<K> {
    pub(crate) fn new(sort: Sort, position: Option<Position<K>>, limit: Limit) -> Self {
        let toward = position.as_ref().map_or(Toward::Next, |position| position.toward);
        let scan = match (sort, toward) {
            (Sort::Newest, Toward::Next) | (Sort::Oldest, Toward::Prev) => Scan::Descending,
            (Sort::Newest, Toward::Prev) | (Sort::Oldest, Toward::Next) => Scan::Ascending,
        };
        Self { scan, position, limit }
    }

    /// The order in which to read.
    pub const fn scan(&self) -> Scan {
        self.scan
    }

    /// The row beside which to begin; `None` is the beginning of the list.
    pub fn anchor(&self) -> Option<&Anchor<K>> {
        self.position.as_ref().map(|position| &position.anchor)
    }

    /// Whether the comparison with the anchor is strict (`<`, `>`) or not (`<=`, `>=`).
    pub fn start(&self) -> Start {
        self.position.as_ref().map_or(Start::Beyond, |position| position.start)
    }

    /// How many rows to fetch: the `LIMIT` of the query.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit.get()) + 1
    }

    pub(crate) fn position(&self) -> Option<&Position<K>> {
        self.position.as_ref()
    }

    pub(crate) const fn limit(&self) -> Limit {
        self.limit
    }
}
