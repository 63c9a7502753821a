//! One page of a tenant's orders.

use cursor::{Moment, Scan, Start, Window};
use futures::future::try_join;
use money::Money;
use pg::{Columns as _, Error, Row, Tx};
use uuid::Uuid;

use crate::domain::{EmailAddress, OrderFilter, StateName, Summary};

/// Has the planner look at the values each time.
///
/// A prepared statement is planned without them from its sixth execution on, if that looks no more expensive: as it does
/// while there are few orders, and the plan stays when there are many. Then every filter that is not set is an open question,
/// no index answers it, and a page costs a scan of the tenant's orders.
const PLAN_WITH_VALUES: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

/// The text of one scan. Comparing rows, and not a chain of ORs, lets the index begin at the anchor.
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

/// Returns the orders in the window, in the order of its scan.
pub(crate) async fn list(
    tx: &Tx<'_>,
    tenant: &str,
    filter: &OrderFilter,
    window: &Window<Uuid>,
) -> Result<Vec<Summary>, Error> {
    let statement = match (window.scan(), window.start()) {
        (Scan::Ascending, Start::Beyond) => AFTER,
        (Scan::Ascending, Start::At) => FROM,
        (Scan::Descending, Start::Beyond) => BEFORE,
        (Scan::Descending, Start::At) => UP_TO,
    };
    let state = filter.state.map(StateName::as_str);
    let customer = filter.customer.as_ref().map(EmailAddress::as_str);
    let from = filter.created.from().map(Moment::at);
    let to = filter.created.to().map(Moment::at);
    let at = window.anchor().map(|anchor| anchor.at);
    let id = window.anchor().map(|anchor| anchor.id);
    let (_, rows) = try_join(
        tx.execute(PLAN_WITH_VALUES, &[]),
        tx.query(statement, &[&tenant, &state, &customer, &from, &to, &at, &id, &window.fetch()]),
    )
    .await?;
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
