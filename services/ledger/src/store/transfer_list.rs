//! Keyset pagination over the transfers of a tenant, or of one of its accounts.

use cursor::{Boundary, PageQuery, Scan, Timestamp};
use pg::{Error, Tx, types::ToSql};
use uuid::Uuid;

use super::transfers::snapshot;
use crate::domain::{Snapshot, TransferFilter, TransferState};

/// The SQL of one scan, over the rows of `$which`. The row comparison, instead of a chain of ORs, lets the index scan start at the anchor.
macro_rules! scan {
    ($which:literal, $comparison:literal, $direction:literal) => {
        concat!(
            "SELECT id, tenant, source, destination, amount, currency, reference, reverses, state, failure_reason, version,
    created_at, updated_at
FROM transfers
WHERE tenant = $1
    AND ",
            $which,
            "
    AND ($3::text IS NULL OR state = $3)
    AND ($4::timestamptz IS NULL OR created_at >= $4)
    AND ($5::timestamptz IS NULL OR created_at < $5)
    AND ($6::timestamptz IS NULL OR (created_at, id) ",
            $comparison,
            " ($6, $7::uuid))
ORDER BY created_at ",
            $direction,
            ", id ",
            $direction,
            " LIMIT $8"
        )
    };
}

/// All transfers, or those of one account: an index scan over those from it and one over those to it, each up to the limit. A condition with OR
/// would scan all transfers of the tenant.
macro_rules! statements {
    ($comparison:literal, $direction:literal) => {
        (
            scan!("$2::uuid IS NULL", $comparison, $direction),
            concat!(
                "SELECT * FROM ((",
                scan!("source = $2::uuid", $comparison, $direction),
                ") UNION ALL (",
                scan!("destination = $2::uuid", $comparison, $direction),
                ")) AS sides ORDER BY created_at ",
                $direction,
                ", id ",
                $direction,
                " LIMIT $8"
            ),
        )
    };
}

const AFTER: (&str, &str) = statements!(">", "ASC");
const FROM: (&str, &str) = statements!(">=", "ASC");
const BEFORE: (&str, &str) = statements!("<", "DESC");
const UP_TO: (&str, &str) = statements!("<=", "DESC");

/// Returns the transfers of the page, in scan order.
pub(crate) async fn list(
    tx: &Tx<'_>,
    tenant: &str,
    filter: &TransferFilter,
    page: &PageQuery<Uuid>,
) -> Result<Vec<Snapshot>, Error> {
    let (of_tenant, of_account) = match (page.scan(), page.boundary()) {
        (Scan::Ascending, Boundary::Exclusive) => AFTER,
        (Scan::Ascending, Boundary::Inclusive) => FROM,
        (Scan::Descending, Boundary::Exclusive) => BEFORE,
        (Scan::Descending, Boundary::Inclusive) => UP_TO,
    };
    let statement = if filter.account.is_some() { of_account } else { of_tenant };
    let state = filter.state.map(TransferState::as_str);
    let (from, to) = (filter.created.from.map(Timestamp::at), filter.created.to.map(Timestamp::at));
    let (at, id) = (page.key().map(|key| key.at), page.key().map(|key| key.id));
    let params: [&(dyn ToSql + Sync); 8] =
        [&tenant, &filter.account, &state, &from, &to, &at, &id, &page.fetch()];
    let rows = tx.query_with_custom_plan(statement, &params).await?;
    rows.iter().map(snapshot).collect()
}
