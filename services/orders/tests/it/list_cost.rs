//! The cost of a page: the number of rows that the database reads.

use testkit::{Database, wait_for};

use crate::{
    app::{App, SOON},
    listing::Listing,
};

/// 30,000 orders of three tenants. Of each tenant's, ten are rejected, and each customer has a hundred.
const FILL: &str = "\
INSERT INTO orders (id, tenant, customer_email, state, rejection_reason, total_minor, currency, version, placed_at, updated_at)
SELECT gen_random_uuid(), (ARRAY['acme', 'globex', 'initech'])[1 + n % 3], 'customer-' || n / 300 || '@example.com',
    CASE WHEN n / 3 % 1000 = 0 THEN 'rejected' ELSE 'confirmed' END, CASE WHEN n / 3 % 1000 = 0 THEN 'sold out' END,
    100, 'EUR', 2, timestamptz '2025-01-01' + n * interval '1 second', timestamptz '2025-01-01' + n * interval '1 second'
FROM generate_series(0, 29999) AS n";

/// Pages of each list.
const PAGES: usize = 9;

/// Rows that the planner reads for the statements of the order process: the lowest and the highest key of each join.
const PLANNING: i64 = 16;

/// Number of requests after which every session may use a generic plan.
const WARM_UP: usize = 60;

/// The sessions of the service in PostgreSQL.
const SESSIONS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

const READ: &str =
    "SELECT seq_tup_read, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'orders'";

/// Reads a list from its first page, and returns the number of orders.
async fn walk(listing: &Listing<'_>, query: &str) -> usize {
    let mut cursor = String::new();
    let mut shown = 0;
    for page in 0..PAGES {
        let next = listing.page(&format!("{query}{cursor}")).await;
        shown += next.ids().len();
        let place = next.next().unwrap_or_else(|| panic!("{query} ends with page {page}"));
        cursor = format!("&cursor={place}");
    }
    shown
}

/// Returns the number of rows that were read from the table, by sequential scans and by index scans.
async fn rows_read(database: &Database) -> (i64, i64) {
    let session = database.connect().await;
    // A session reports its statistics at its end, at the latest.
    wait_for("the sessions to end", SOON, async || {
        let sessions: i64 = session.query_one(SESSIONS, &[]).await.unwrap().get(0);
        (sessions == 0).then_some(())
    })
    .await;
    let row = session.query_one(READ, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn fill(database: &Database) {
    let session = database.connect().await;
    session.batch_execute(FILL).await.unwrap();
}

#[tokio::test]
async fn a_page_reads_one_row_more_than_it_returns() {
    let mut app = App::start().await;
    fill(&app.database).await;
    app.database.connect().await.batch_execute("ANALYZE orders").await.unwrap();
    let listing = Listing::of(&app, "acme").await;
    let queries = [
        "limit=50",
        "limit=50&order=oldest",
        "limit=1&state=rejected",
        "limit=3&customer=customer-50%40example.com",
        "limit=20&created_from=2025-01-01T02:00:00Z&created_to=2025-01-01T06:00:00Z",
    ];
    let mut may_read = 0;
    for query in queries {
        may_read += walk(&listing, query).await + PAGES;
    }
    drop(listing);
    assert!(app.process.terminate().await.success());

    let (scanned, fetched) = rows_read(&app.database).await;
    assert_eq!(scanned, 0, "rows read without an index");
    let may_read = i64::try_from(may_read).unwrap() + PLANNING;
    assert!((1..=may_read).contains(&fetched), "{fetched} rows read, not {may_read}");
}

#[tokio::test]
async fn a_page_in_an_old_session_reads_no_more_rows() {
    let mut app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    // While the table is empty, every plan looks cheap, including a generic plan.
    for _ in 0..WARM_UP {
        listing.page("").await;
    }
    fill(&app.database).await;
    walk(&listing, "limit=1&state=rejected").await;
    drop(listing);
    assert!(app.process.terminate().await.success());

    let (scanned, fetched) = rows_read(&app.database).await;
    assert_eq!(scanned, 0, "rows read without an index");
    let matching = 10 * i64::try_from(PAGES).unwrap() + PLANNING;
    assert!((1..=matching).contains(&fetched), "{fetched} rows read, of which {matching} can be the answer");
}
