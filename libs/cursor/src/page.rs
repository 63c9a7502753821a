//! Pages: the query of a page, the page of its rows, and the `Link` header.

use chrono::{DateTime, Utc};
use url::form_urlencoded::Serializer;

use crate::{Boundary, Cursors, Direction, Limit, Position, Scope, Sort, SortKey, TieBreaker};

/// The response to one list request.
pub struct List<'a, K> {
    cursors: &'a Cursors,
    scope: Scope,
    query: PageQuery<K>,
    now: DateTime<Utc>,
}

/// One page, in the order of the list, independent of the direction of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` at the end of the list.
    pub next: Option<String>,
    /// The cursor of the previous page; `None` at the beginning of the list.
    pub prev: Option<String>,
}

/// The parameters of the SQL query for one page.
///
/// It fetches one row more than the page shows, which detects the end of the list without counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery<K> {
    scan: Scan,
    position: Option<Position<K>>,
    limit: Limit,
}

/// The order in which a query reads its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// From the earliest: `(at, id) > key ORDER BY at, id`.
    Ascending,
    /// From the latest: `(at, id) < key ORDER BY at DESC, id DESC`.
    Descending,
}

impl<'a, K: TieBreaker> List<'a, K> {
    /// Starts the response with the page at this position, or with the first page.
    pub(crate) fn new(
        cursors: &'a Cursors,
        scope: Scope,
        limit: Limit,
        position: Option<Position<K>>,
        now: DateTime<Utc>,
    ) -> Self {
        let direction = position.as_ref().map_or(Direction::Next, |position| position.direction);
        let scan = match (scope.sort, direction) {
            (Sort::Newest, Direction::Next) | (Sort::Oldest, Direction::Prev) => Scan::Descending,
            (Sort::Newest, Direction::Prev) | (Sort::Oldest, Direction::Next) => Scan::Ascending,
        };
        Self { cursors, scope, query: PageQuery { scan, position, limit }, now }
    }

    /// Returns the parameters of the SQL query.
    pub const fn query(&self) -> &PageQuery<K> {
        &self.query
    }

    /// Makes the page from the fetched rows, which are in the order of the scan.
    pub fn page<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> SortKey<K>) -> Page<T>
    where
        K: Clone,
    {
        let shown = usize::from(self.query.limit.get());
        let has_more = rows.len() > shown;
        rows.truncate(shown);
        let requested = self.query.position.as_ref();
        let direction = requested.map_or(Direction::Next, |position| position.direction);
        if direction == Direction::Prev {
            rows.reverse();
        }
        let beside = |row: Option<&T>, direction| {
            row.map(|row| Position { direction, boundary: Boundary::Exclusive, key: key(row) })
        };
        // Back to the requested position even when its rows were deleted; an empty page includes that position itself.
        let back = |row: Option<&T>, direction| {
            let key = requested?.key.clone();
            beside(row, direction).or(Some(Position { direction, boundary: Boundary::Inclusive, key }))
        };
        let forward = |row: Option<&T>, direction| if has_more { beside(row, direction) } else { None };
        let (next, prev) = match direction {
            Direction::Next => (forward(rows.last(), Direction::Next), back(rows.first(), Direction::Prev)),
            Direction::Prev => (back(rows.last(), Direction::Next), forward(rows.first(), Direction::Prev)),
        };
        let encode = |position: Position<K>| self.cursors.encode(&self.scope, &position, self.now);
        Page { next: next.map(encode), prev: prev.map(encode), items: rows }
    }

    /// Makes the `Link` header (RFC 8288) with the next and the previous page; `None` without such a page.
    ///
    /// Targets are relative references that begin with the route, so they are valid behind any host name.
    pub fn link<T>(&self, page: &Page<T>) -> Option<String> {
        let links: Vec<String> = [("next", &page.next), ("prev", &page.prev)]
            .into_iter()
            .filter_map(|(rel, cursor)| Some(format!("<{}>; rel=\"{rel}\"", self.target(cursor.as_ref()?))))
            .collect();
        (!links.is_empty()).then(|| links.join(", "))
    }

    /// The same list and limit at another cursor. Percent-encoding leaves no character that ends the reference.
    fn target(&self, cursor: &str) -> String {
        let mut query = Serializer::new(String::new());
        query
            .extend_pairs(&self.scope.filters)
            .append_pair("order", self.scope.sort.into())
            .append_pair("limit", &self.query.limit.get().to_string())
            .append_pair("cursor", cursor);
        format!("{}?{}", self.scope.route, query.finish())
    }
}

impl<K> PageQuery<K> {
    /// The order of the scan.
    pub const fn scan(&self) -> Scan {
        self.scan
    }

    /// The sort key at which the scan begins; `None` is the beginning of the list.
    pub fn key(&self) -> Option<&SortKey<K>> {
        self.position.as_ref().map(|position| &position.key)
    }

    /// Whether the comparison with the key is strict (`<`, `>`) or not (`<=`, `>=`).
    pub fn boundary(&self) -> Boundary {
        self.position.as_ref().map_or(Boundary::Exclusive, |position| position.boundary)
    }

    /// The number of rows to fetch: the `LIMIT` of the query.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit.get()) + 1
    }
}

#[cfg(test)]
mod tests;
