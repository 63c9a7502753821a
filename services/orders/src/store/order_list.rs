//! Keyset pagination over the orders of a tenant.

use cursor::{Boundary, PageQuery, Scan, Timestamp};
use money::Money;
use pg::{Columns as _, Error, Row, Tx, types::ToSql};
use uuid::Uuid;

use crate::domain::{EmailAddress, OrderFilter, StateName, Summary};

/// The SQL of one scan. The row comparison, instead of a chain of ORs, lets the index scan start at the anchor.
macro_rules! scan {
    ($comparison:literal, $direction:literal) => {
        concat!(
            "SELECT id, customer_email, state, rejection_reason, total_minor, currency, placed_at, updated_at
FROM orders
WHERE tenant = $1
    AND ($2::text IS NULL OR state = $2)
    AND ($3::text IS NULL OR customer_email = $3)
    AND ($4::timestamptz IS NULL OR placed_at >= $4)
    AND ($5::timestamptz IS NULL OR placed_at < $5)
    AND ($6::timestamptz IS NULL OR (placed_at, id) ",
            $comparison,
            " ($6, $7::uuid))
ORDER BY placed_at ",
            $direction,
            ", id ",
            $direction,
            " LIMIT $8"
        )
    };
}

const AFTER: &str = scan!(">", "ASC");
const FROM: &str = scan!(">=", "ASC");
const BEFORE: &str = scan!("<", "DESC");
const UP_TO: &str = scan!("<=", "DESC");

/// Returns the orders of the page, in scan order.
pub(crate) async fn list(
    tx: &Tx<'_>,
    tenant: &str,
    filter: &OrderFilter,
    page: &PageQuery<Uuid>,
) -> Result<Vec<Summary>, Error> {
    let statement = match (page.scan(), page.boundary()) {
        (Scan::Ascending, Boundary::Exclusive) => AFTER,
        (Scan::Ascending, Boundary::Inclusive) => FROM,
        (Scan::Descending, Boundary::Exclusive) => BEFORE,
        (Scan::Descending, Boundary::Inclusive) => UP_TO,
    };
    let state = filter.state.map(StateName::as_str);
    let customer = filter.customer.as_ref().map(EmailAddress::as_str);
    let from = filter.created.from.map(Timestamp::at);
    let to = filter.created.to.map(Timestamp::at);
    let at = page.key().map(|key| key.at);
    let id = page.key().map(|key| key.id);
    let params: [&(dyn ToSql + Sync); 8] = [&tenant, &state, &customer, &from, &to, &at, &id, &page.fetch()];
    let rows = tx.query_with_custom_plan(statement, &params).await?;
    rows.iter().map(summary).collect()
}

fn summary(row: &Row) -> Result<Summary, Error> {
    Ok(Summary {
        id: row.column("id")?,
        customer_email: EmailAddress::from_stored(row.column("customer_email")?),
        state: super::orders::state(row)?,
        rejection_reason: row.column("rejection_reason")?,
        total: Money::new(row.column("total_minor")?, super::orders::currency(row)?),
        placed_at: row.column("placed_at")?,
        updated_at: row.column("updated_at")?,
    })
}
