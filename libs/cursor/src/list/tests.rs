use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{CursorKeys, Limit, Scan, Sort};

/// A row is its sort key: a second, and a number that tells rows of one second apart.
type Row = (i64, String);

/// What a database does with a window.
fn fetch(table: &BTreeSet<Row>, window: &Window<String>) -> Vec<Row> {
    let anchor = window.anchor().map(|anchor| (anchor.at.timestamp(), anchor.id.clone()));
    let beside = |row: &&Row| match (&anchor, window.scan(), window.start()) {
        (None, ..) => true,
        (Some(anchor), Scan::Ascending, Start::Beyond) => *row > anchor,
        (Some(anchor), Scan::Ascending, Start::At) => *row >= anchor,
        (Some(anchor), Scan::Descending, Start::Beyond) => *row < anchor,
        (Some(anchor), Scan::Descending, Start::At) => *row <= anchor,
    };
    let limit = usize::try_from(window.fetch()).unwrap();
    let beside = table.iter().filter(beside).cloned();
    match window.scan() {
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
        list.page(fetch(table, list.window()), |(second, id)| Anchor { at: at(*second), id: id.clone() })
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
fn an_empty_list_is_one_page() {
    let page = Client::new(Sort::Newest).page(&BTreeSet::new(), 5, None);
    assert_eq!(page, Page { items: vec![], next: None, prev: None });
}

#[test]
fn a_full_last_page_says_that_it_is_the_last() {
    for sort in [Sort::Newest, Sort::Oldest] {
        let client = Client::new(sort);
        let first = client.page(&table(10), 5, None);
        assert_eq!((first.items.len(), &first.prev), (5, &None));
        let second = client.page(&table(10), 5, first.next.as_deref());
        assert_eq!((second.items.len(), &second.next), (5, &None));
    }
}

#[test]
fn the_way_back_from_an_emptied_end_misses_nothing() {
    let client = Client::new(Sort::Oldest);
    let first = client.page(&table(9), 3, None);
    let rest = table(3);
    let empty = client.page(&rest, 3, first.next.as_deref());
    assert_eq!((&empty.items, &empty.next), (&vec![], &None));
    assert_eq!(client.page(&rest, 3, empty.prev.as_deref()).items, first.items);
}

#[test]
fn the_way_forth_from_an_emptied_beginning_misses_nothing() {
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
    fn pages_put_together_are_the_list(table in rows(), sort in sorts(), limits in prop::collection::vec(1_u8..7, 1..9)) {
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
    fn what_stays_comes_once_whatever_else_comes_and_goes(
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
