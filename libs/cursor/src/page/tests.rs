use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::CursorKeys;

/// A row is its sort key: a second, and a number that tells rows of one second apart.
type Row = (i64, String);

/// Runs a query as a database does.
fn fetch(table: &BTreeSet<Row>, query: &PageQuery<String>) -> Vec<Row> {
    let key = query.key().map(|key| (key.at.timestamp(), key.id.clone()));
    let beside = |row: &&Row| match (&key, query.scan(), query.boundary()) {
        (None, ..) => true,
        (Some(key), Scan::Ascending, Boundary::Exclusive) => *row > key,
        (Some(key), Scan::Ascending, Boundary::Inclusive) => *row >= key,
        (Some(key), Scan::Descending, Boundary::Exclusive) => *row < key,
        (Some(key), Scan::Descending, Boundary::Inclusive) => *row <= key,
    };
    let limit = usize::try_from(query.fetch()).unwrap();
    let beside = table.iter().filter(beside).cloned();
    match query.scan() {
        Scan::Ascending => beside.take(limit).collect(),
        Scan::Descending => beside.rev().take(limit).collect(),
    }
}

struct Client {
    cursors: Cursors,
    sort: Sort,
}

impl Client {
    fn new(sort: Sort) -> Self {
        let keys = CursorKeys::parse(&format!("k:{}", "11".repeat(32))).unwrap();
        Self { cursors: Cursors::new(keys, Duration::from_mins(1)), sort }
    }

    fn page(&self, table: &BTreeSet<Row>, rows: u8, cursor: Option<&str>) -> Page<Row> {
        let scope = Scope::new("acme", "/rows", self.sort);
        let list = self.cursors.list(scope, Limit::new(rows).unwrap(), cursor, at(0)).unwrap();
        list.page(fetch(table, list.query()), |(second, id)| SortKey { at: at(*second), id: id.clone() })
    }

    /// The whole list.
    fn all(&self, table: &BTreeSet<Row>) -> Vec<Row> {
        match self.sort {
            Sort::Newest => table.iter().rev().cloned().collect(),
            Sort::Oldest => table.iter().cloned().collect(),
        }
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn table(rows: usize) -> BTreeSet<Row> {
    (0..rows).map(|n| (i64::try_from(n / 3).unwrap(), format!("{n:03}"))).collect()
}

fn sorts() -> impl Strategy<Value = Sort> {
    prop_oneof![Just(Sort::Newest), Just(Sort::Oldest)]
}

fn rows() -> impl Strategy<Value = BTreeSet<Row>> {
    // Few seconds, so that many rows share one.
    prop::collection::btree_set((0_i64..6, "[a-d]{1,3}"), 0..40)
}

#[test]
fn links_carry_filters_order_limit_and_cursor() {
    let client = Client::new(Sort::Oldest);
    let scope = Scope::new("acme", "/v1/orders", Sort::Oldest)
        .filter("customer", Some("a+b>@example.com"))
        .filter("state", None::<String>);
    let list: List<'_, String> = client.cursors.list(scope, Limit::new(7).unwrap(), None, at(0)).unwrap();
    let link = |next: Option<&str>, prev: Option<&str>| {
        let (next, prev) = (next.map(str::to_owned), prev.map(str::to_owned));
        list.link(&Page::<Row> { items: vec![], next, prev })
    };
    let query = "customer=a%2Bb%3E%40example.com&order=oldest&limit=7&cursor";
    assert_eq!(link(None, None), None);
    assert_eq!(
        link(Some("N"), Some("P")),
        Some(format!("</v1/orders?{query}=N>; rel=\"next\", </v1/orders?{query}=P>; rel=\"prev\""))
    );
}

#[test]
fn an_empty_list_is_one_page() {
    let page = Client::new(Sort::Newest).page(&BTreeSet::new(), 5, None);
    assert_eq!(page, Page { items: vec![], next: None, prev: None });
}

#[test]
fn a_full_last_page_has_no_next() {
    for sort in [Sort::Newest, Sort::Oldest] {
        let client = Client::new(sort);
        let first = client.page(&table(10), 5, None);
        assert_eq!((first.items.len(), &first.prev), (5, &None));
        let second = client.page(&table(10), 5, first.next.as_deref());
        assert_eq!((second.items.len(), &second.next), (5, &None));
    }
}

#[test]
fn prev_of_an_empty_last_page_returns_the_rows_before_it() {
    let client = Client::new(Sort::Oldest);
    let first = client.page(&table(9), 3, None);
    let rest = table(3);
    let empty = client.page(&rest, 3, first.next.as_deref());
    assert_eq!((&empty.items, &empty.next), (&vec![], &None));
    assert_eq!(client.page(&rest, 3, empty.prev.as_deref()).items, first.items);
}

#[test]
fn next_of_an_empty_first_page_returns_the_rows_after_it() {
    let client = Client::new(Sort::Oldest);
    let first = client.page(&table(9), 3, None);
    let second = client.page(&table(9), 3, first.next.as_deref());
    let rest = table(9).split_off(&second.items[0]);
    let empty = client.page(&rest, 3, second.prev.as_deref());
    assert_eq!((&empty.items, &empty.prev), (&vec![], &None));
    assert_eq!(client.page(&rest, 3, empty.next.as_deref()).items, second.items);
}

proptest! {
    #[test]
    fn all_pages_together_are_the_list(table in rows(), sort in sorts(), limits in prop::collection::vec(1_u8..7, 1..9)) {
        let client = Client::new(sort);
        let mut seen = Vec::new();
        let mut pages = Vec::new();
        let mut limits = limits.iter().cycle();
        let mut page = client.page(&table, *limits.next().unwrap(), None);
        loop {
            seen.extend(page.items.clone());
            pages.push(page.clone());
            let Some(next) = page.next.clone() else { break };
            page = client.page(&table, *limits.next().unwrap(), Some(&next));
        }
        prop_assert_eq!(seen, client.all(&table));
        // And back, page by page.
        while let (Some(here), Some(before)) = (pages.pop(), pages.last()) {
            let rows = u8::try_from(before.items.len()).unwrap();
            let back = client.page(&table, rows, here.prev.as_deref());
            prop_assert_eq!(&back.items, &before.items);
            prop_assert_eq!(back.prev.is_some(), before.prev.is_some());
            let forth = client.page(&table, Limit::MAX, back.next.as_deref());
            prop_assert!(forth.items.starts_with(&here.items));
        }
    }

    #[test]
    fn a_row_that_stays_comes_once_while_other_rows_come_and_go(
        stays in rows(),
        comes in prop::collection::vec(rows(), 1..30),
        sort in sorts(),
        rows in 1_u8..5,
    ) {
        let client = Client::new(sort);
        // For each page, something else is in the table as well.
        let mut changes = comes.iter().cycle();
        let mut table = || -> BTreeSet<Row> { changes.next().unwrap().union(&stays).cloned().collect() };
        let mut cursor = None;
        let mut forth = Vec::new();
        let back_from = loop {
            let page = client.page(&table(), rows, cursor.as_deref());
            forth.extend(page.items.iter().filter(|row| stays.contains(*row)).cloned());
            if page.next.is_none() { break page; }
            cursor = page.next;
        };
        prop_assert_eq!(&forth, &client.all(&stays));

        let mut back: Vec<Row> = back_from.items.iter().rev().filter(|row| stays.contains(*row)).cloned().collect();
        let mut cursor = back_from.prev;
        while let Some(at) = cursor {
            let page = client.page(&table(), rows, Some(&at));
            back.extend(page.items.iter().rev().filter(|row| stays.contains(*row)).cloned());
            cursor = page.prev;
        }
        back.reverse();
        prop_assert_eq!(back, client.all(&stays));
    }
}
