//! Keyset pagination over the accounts of a tenant.

use cursor::{Boundary, PageQuery, Scan, TimeRange, Timestamp};
use pg::{Error, Tx, types::ToSql};
use uuid::Uuid;

use super::accounts::account;
use crate::domain::Account;

/// The SQL of one scan. The row comparison, instead of a chain of ORs, lets the index scan start at the anchor.
macro_rules! scan {
    ($comparison:literal, $direction:literal) => {
        concat!(
            "SELECT id, tenant, name, kind, currency, may_overdraw, state, posted, held, incoming, version, created_at, updated_at
FROM accounts
WHERE tenant = $1
    AND ($2::timestamptz IS NULL OR created_at >= $2)
    AND ($3::timestamptz IS NULL OR created_at < $3)
    AND ($4::timestamptz IS NULL OR (created_at, id) ",
            $comparison,
            " ($4, $5::uuid))
ORDER BY created_at ",
            $direction,
            ", id ",
            $direction,
            " LIMIT $6"
        )
    };
}

const AFTER: &str = scan!(">", "ASC");
const FROM: &str = scan!(">=", "ASC");
const BEFORE: &str = scan!("<", "DESC");
const UP_TO: &str = scan!("<=", "DESC");

/// Returns the accounts of the page, in scan order.
pub(crate) async fn list(
    tx: &Tx<'_>,
    tenant: &str,
    created: &TimeRange,
    page: &PageQuery<Uuid>,
) -> Result<Vec<Account>, Error> {
    let statement = match (page.scan(), page.boundary()) {
        (Scan::Ascending, Boundary::Exclusive) => AFTER,
        (Scan::Ascending, Boundary::Inclusive) => FROM,
        (Scan::Descending, Boundary::Exclusive) => BEFORE,
        (Scan::Descending, Boundary::Inclusive) => UP_TO,
    };
    let (from, to) = (created.from.map(Timestamp::at), created.to.map(Timestamp::at));
    let (at, id) = (page.key().map(|key| key.at), page.key().map(|key| key.id));
    let params: [&(dyn ToSql + Sync); 6] = [&tenant, &from, &to, &at, &id, &page.fetch()];
    let rows = tx.query_with_custom_plan(statement, &params).await?;
    rows.iter().map(account).collect()
}
