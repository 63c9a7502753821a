//! Reads of a whole list during inserts and deletes: an order that remains appears exactly once, in both directions.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{
    app::App,
    listing::{Listing, Page, Row, ids},
};

/// Number of generated cases, of about ten requests each.
const WALKS: u32 = 16;

/// A generated case: orders that remain, and for each page orders that exist only during its read.
#[derive(Clone, Debug)]
struct Walk {
    stays: BTreeSet<Row>,
    comes: Vec<BTreeSet<Row>>,
    order: &'static str,
    limit: usize,
    in_state: Option<&'static str>,
}

/// A few times, so that many orders have the same one.
fn rows(at_most: usize) -> impl Strategy<Value = BTreeSet<Row>> {
    let state = prop_oneof![2 => Just("pending"), 1 => Just("confirmed")];
    let row = (0_i64..5, any::<u128>(), state).prop_map(|(at, id, state)| Row {
        id: Uuid::from_u128(id),
        state,
        ..Row::at(at)
    });
    prop::collection::btree_set(row, 0..at_most)
}

fn walks() -> impl Strategy<Value = Walk> {
    let order = prop_oneof![Just("newest"), Just("oldest")];
    let in_state = prop_oneof![Just(None), Just(Some("pending"))];
    (rows(24), prop::collection::vec(rows(6), 1..8), order, 1_usize..6, in_state)
        .prop_map(|(stays, comes, order, limit, in_state)| Walk { stays, comes, order, limit, in_state })
}

impl Walk {
    fn query(&self, cursor: Option<&str>) -> String {
        let Self { order, limit, .. } = self;
        let state = self.in_state.map(|state| format!("&state={state}")).unwrap_or_default();
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        format!("order={order}&limit={limit}{state}{cursor}")
    }

    /// The expected orders, in their expected sequence.
    fn expected(&self) -> Vec<String> {
        let wanted = self.stays.iter().filter(|row| self.in_state.is_none_or(|state| row.state == state));
        let mut expected = ids(wanted);
        if self.order == "newest" {
            expected.reverse();
        }
        expected
    }

    /// The orders of a page that remain.
    fn staying(&self, page: &Page) -> Vec<String> {
        let stays: BTreeSet<_> = ids(&self.stays).into_iter().collect();
        page.ids().into_iter().filter(|id| stays.contains(id)).collect()
    }

    /// Reads all pages forwards and backwards. `change` runs before each page.
    async fn there_and_back(&self, listing: &Listing<'_>, mut change: impl AsyncFnMut()) {
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let mut cursor = None;
        let mut page = loop {
            change().await;
            let page = listing.page(&self.query(cursor.as_deref())).await;
            assert!(page.ids().len() <= self.limit);
            for id in page.ids() {
                assert!(seen.insert(id), "no order comes twice, whether it stays or not");
            }
            forth.extend(self.staying(&page));
            cursor = page.next().map(str::to_owned);
            if cursor.is_none() {
                break page;
            }
        };
        assert_eq!(forth, self.expected(), "{self:?}");
        loop {
            back.splice(0..0, self.staying(&page));
            let Some(prev) = page.prev().map(str::to_owned) else { break };
            change().await;
            page = listing.page(&self.query(Some(&prev))).await;
        }
        assert_eq!(back, self.expected(), "{self:?}");
    }
}

#[test]
fn a_remaining_order_appears_exactly_once_in_both_directions() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::start());
    let mut runner = TestRunner::new(Config { cases: WALKS, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&walks(), |walk| {
        runtime.block_on(async {
            // Each case has its own tenant.
            let listing = Listing::of(&app, &Uuid::new_v4().to_string()).await;
            listing.insert(&walk.stays).await;
            let mut changes = walk.comes.iter().cycle();
            let mut gone = Vec::new();
            walk.there_and_back(&listing, async || {
                listing.delete(&gone).await;
                // A deleted order is not inserted again; a new order has the same time.
                let anew = |row: &Row| Row { id: Uuid::new_v4(), ..row.clone() };
                gone = changes.next().unwrap().iter().map(anew).collect::<Vec<_>>();
                listing.insert(&gone).await;
            })
            .await;
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn without_changes_prev_returns_the_same_pages() {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::start());
    let mut runner = TestRunner::new(Config { cases: WALKS, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&walks(), |walk| {
        runtime.block_on(async {
            let listing = Listing::of(&app, &Uuid::new_v4().to_string()).await;
            listing.insert(&walk.stays).await;
            let mut pages = vec![listing.page(&walk.query(None)).await];
            while let Some(next) = pages.last().unwrap().next() {
                pages.push(listing.page(&walk.query(Some(next))).await);
            }
            assert_eq!(pages.iter().flat_map(Page::ids).collect::<Vec<_>>(), walk.expected());
            for pair in pages.windows(2) {
                let back = listing.page(&walk.query(pair[1].prev())).await;
                assert_eq!(back.ids(), pair[0].ids());
                assert_eq!(back.prev().is_some(), pair[0].prev().is_some());
                let forth = listing.page(&walk.query(back.next())).await;
                assert_eq!(forth.ids(), pair[1].ids());
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn a_remaining_order_appears_exactly_once_during_concurrent_writes() {
    let app = App::start().await;
    let (listing, writing) = (Listing::of(&app, "acme").await, Listing::of(&app, "acme").await);
    let stays: BTreeSet<_> = (0..60).map(|n| Row::at(n / 4)).collect();
    listing.insert(&stays).await;
    let stop = AtomicBool::new(false);
    let writer = async |offset: i64| {
        let mut written = 0_u32;
        for round in (offset..).step_by(3) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let rows: Vec<_> = (0..4).map(|n| Row::at((round * 7 + n * 5) % 15)).collect();
            writing.insert(&rows).await;
            writing.delete(&rows).await;
            written += 1;
        }
        written
    };
    let walker = async {
        for (order, limit) in [("newest", 7), ("oldest", 3), ("newest", 1), ("oldest", 16)] {
            let walk = Walk { stays: stays.clone(), comes: vec![], order, limit, in_state: None };
            walk.there_and_back(&listing, async || ()).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let ((), one, other) = tokio::join!(walker, writer(0), writer(1));
    assert!(one > 0 && other > 0, "nothing was written meanwhile: {one}, {other}");
}
