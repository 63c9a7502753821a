//! Keyset pagination over the links of a tenant.

use cursor::{Boundary, PageQuery, Scan, Timestamp};
use pg::{Error, Tx, types::ToSql};

use super::link;
use crate::domain::{Code, Host, Link, LinkFilter};

/// The SQL of one scan. The row comparison, instead of a chain of ORs, lets the index scan start at the anchor.
macro_rules! scan {
    ($comparison:literal, $direction:literal) => {
        concat!(
            "SELECT code, target, version, created_at, updated_at
FROM links
WHERE tenant = $1
    AND ($2::text IS NULL OR target_host = $2)
    AND ($3::timestamptz IS NULL OR created_at >= $3)
    AND ($4::timestamptz IS NULL OR created_at < $4)
    AND ($5::timestamptz IS NULL OR (created_at, code) ",
            $comparison,
            " ($5, $6::text))
ORDER BY created_at ",
            $direction,
            ", code ",
            $direction,
            " LIMIT $7"
        )
    };
}

const AFTER: &str = scan!(">", "ASC");
const FROM: &str = scan!(">=", "ASC");
const BEFORE: &str = scan!("<", "DESC");
const UP_TO: &str = scan!("<=", "DESC");

/// Returns the links of the page, in scan order.
pub(crate) async fn list(
    tx: &Tx<'_>,
    tenant: &auth::Tenant,
    filter: &LinkFilter,
    page: &PageQuery<Code>,
) -> Result<Vec<Link>, Error> {
    let statement = match (page.scan(), page.boundary()) {
        (Scan::Ascending, Boundary::Exclusive) => AFTER,
        (Scan::Ascending, Boundary::Inclusive) => FROM,
        (Scan::Descending, Boundary::Exclusive) => BEFORE,
        (Scan::Descending, Boundary::Inclusive) => UP_TO,
    };
    let host = filter.host.as_ref().map(Host::as_str);
    let from = filter.created.from.map(Timestamp::at);
    let to = filter.created.to.map(Timestamp::at);
    let at = page.key().map(|key| key.at);
    let code = page.key().map(|key| key.id.as_str());
    let params: [&(dyn ToSql + Sync); 7] = [&tenant.as_str(), &host, &from, &to, &at, &code, &page.fetch()];
    let rows = tx.query_with_custom_plan(statement, &params).await?;
    rows.iter().map(link).collect()
}
