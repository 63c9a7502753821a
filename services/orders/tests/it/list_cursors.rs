//! Valid and invalid cursors.

use testkit::wait_for;

use crate::{
    app::{App, Parts, SOON},
    listing::{Listing, Row, ids},
};

async fn next(listing: &Listing<'_>, query: &str) -> String {
    listing.page(query).await.next().unwrap().to_owned()
}

async fn code(listing: &Listing<'_>, query: &str) -> String {
    let (code, parameter) = listing.refused(query).await;
    assert_eq!(parameter, "cursor");
    code
}

#[tokio::test]
async fn a_forged_or_changed_cursor_is_invalid() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    listing.insert(&[Row::at(0), Row::at(1)]).await;
    let cursor = next(&listing, "limit=1").await;
    let shorter: String = cursor.chars().skip(1).collect();
    let mut changed = cursor.clone();
    let last = if cursor.ends_with('A') { "Q" } else { "A" };
    changed.replace_range(cursor.len() - 1.., last);
    for bad in ["", "x", "AAAA", &changed, &shorter, &format!("{cursor}="), &"A".repeat(2_000)] {
        assert_eq!(code(&listing, &format!("cursor={bad}")).await, "invalid_cursor", "{bad}");
    }
    assert_eq!(listing.page(&format!("cursor={cursor}")).await.ids().len(), 1);
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_foreign() {
    let app = App::start().await;
    let (acme, globex) = (Listing::of(&app, "acme").await, Listing::of(&app, "globex").await);
    acme.insert(&[Row::at(0), Row::at(1)]).await;
    let cursor = next(&acme, "limit=1").await;
    assert_eq!(code(&globex, &format!("cursor={cursor}")).await, "cursor_foreign");
}

#[tokio::test]
async fn a_cursor_is_bound_to_its_filters_and_sort_order() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    let rows: Vec<_> = (0..4).map(Row::at).collect();
    listing.insert(&rows).await;
    let filters = "state=pending&created_from=2025-01-01T00:00:00Z&customer=ada%40example.com";
    let cursor = next(&listing, &format!("{filters}&limit=1")).await;
    for other in [
        "",
        "state=pending&created_from=2025-01-01T00:00:00Z",
        "state=confirmed&created_from=2025-01-01T00:00:00Z&customer=ada%40example.com",
        "state=pending&created_from=2025-01-01T00:00:01Z&customer=ada%40example.com",
        "state=pending&created_to=2025-01-01T00:00:00Z&customer=ada%40example.com",
        "state=pending&created_from=2025-01-01T00:00:00Z&customer=bob%40example.com",
        &format!("{filters}&created_to=2026-01-01T00:00:00Z"),
        &format!("{filters}&order=oldest"),
    ] {
        assert_eq!(code(&listing, &format!("{other}&cursor={cursor}")).await, "cursor_mismatch", "{other}");
    }
    // Another spelling, another position in the query and another limit are the same list.
    let same =
        "customer=ada%40example.com&order=newest&state=pending&created_from=2025-01-01T01:00:00%2B01:00";
    for (limit, shown) in [(1, 1), (2, 2), (200, 3)] {
        let page = listing.page(&format!("cursor={cursor}&{same}&limit={limit}")).await;
        assert_eq!(page.ids(), ids(rows.iter().rev().skip(1).take(shown)));
    }
}

#[tokio::test]
async fn a_cursor_expires() {
    let parts = Parts::make().await;
    let process = parts.service().env("ORDERS_CURSOR_LIFETIME_S", "1").spawn().await;
    let app = parts.with(process);
    let listing = Listing::of(&app, "acme").await;
    listing.insert(&[Row::at(0), Row::at(1)]).await;
    let query = format!("cursor={}", next(&listing, "limit=1").await);
    wait_for("the cursor to expire", SOON, async || {
        let response = listing.request(&query).send().await.unwrap();
        (response.status() != 200).then_some(())
    })
    .await;
    assert_eq!(code(&listing, &query).await, "cursor_expired");
}

#[tokio::test]
async fn a_page_starts_correctly_after_its_anchor_is_deleted() {
    let app = App::start().await;
    let listing = Listing::of(&app, "acme").await;
    let rows: Vec<_> = (0..6).map(Row::at).collect();
    listing.insert(&rows).await;
    let first = listing.page("order=oldest&limit=3").await;
    listing.delete(&rows[2..3]).await;
    let second = listing.page(&format!("order=oldest&cursor={}", first.next().unwrap())).await;
    assert_eq!(second.ids(), ids(&rows[3..]));
    let back = listing.page(&format!("order=oldest&cursor={}", second.prev().unwrap())).await;
    assert_eq!(back.ids(), ids(&rows[..2]));

    // All remaining orders are deleted: the page is empty, and `prev` leads to the existing ones.
    listing.delete(&rows[3..]).await;
    let end = listing.page(&format!("order=oldest&cursor={}", first.next().unwrap())).await;
    assert_eq!((end.ids().len(), end.next()), (0, None));
    let back = listing.page(&format!("order=oldest&cursor={}", end.prev().unwrap())).await;
    assert_eq!(back.ids(), ids(&rows[..2]));
}

#[tokio::test]
async fn a_key_rotation_does_not_invalidate_cursors() {
    let mut app = App::start().await;
    let (old, new) = (format!("test:{}", "22".repeat(32)), format!("next:{}", "44".repeat(32)));
    let rows: Vec<_> = (0..3).map(Row::at).collect();
    Listing::of(&app, "acme").await.insert(&rows).await;
    let query = format!("limit=1&cursor={}", next(&Listing::of(&app, "acme").await, "limit=1").await);

    app.process.set_env("ORDERS_CURSOR_KEYS", format!("{new},{old}"));
    app.process.restart().await;
    let page = Listing::of(&app, "acme").await.page(&query).await;
    assert_eq!(page.ids(), [rows[1].id()]);

    app.process.set_env("ORDERS_CURSOR_KEYS", &new);
    app.process.restart().await;
    let listing = Listing::of(&app, "acme").await;
    assert_eq!(code(&listing, &query).await, "invalid_cursor");
    let last = listing.page(&format!("limit=1&cursor={}", page.next().unwrap())).await;
    assert_eq!(last.ids(), [rows[0].id()], "it was signed with the new key already");
}

#[tokio::test]
async fn malformed_cursor_keys_are_refused_and_not_logged() {
    let parts = Parts::make().await;
    let key = "abcd".repeat(16);
    for keys in [key.clone(), format!("id:{key},"), format!("id:{key},id:{key}"), format!("ID:{key}")] {
        let output = parts.service().env("ORDERS_CURSOR_KEYS", keys).expect_refusal().await;
        assert!(output.contains("ORDERS_CURSOR_KEYS") && output.contains("openssl"), "{output}");
        assert!(!output.contains(&key), "{output}");
    }
}
