//! The table `postings`, and keyset pagination over the postings of an account.

use chrono::{DateTime, Utc};
use cursor::{Boundary, PageQuery, Scan, TimeRange, Timestamp};
use money::Money;
use pg::{Columns as _, Error, Row, Tx, types::ToSql};
use uuid::Uuid;

use crate::domain::{Details, Posting, Settled, Transfer};

const INSERT: &str = "\
INSERT INTO postings (id, transfer_id, account_id, tenant, amount, currency, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])";

/// The SQL of one scan. The row comparison, instead of a chain of ORs, lets the index scan start at the anchor.
macro_rules! scan {
    ($comparison:literal, $direction:literal) => {
        concat!(
            "SELECT id, transfer_id, account_id, amount, currency, created_at
FROM postings
WHERE account_id = $1
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

/// Inserts the postings of the transfers that succeeded.
pub(crate) async fn insert(tx: &Tx<'_>, transfers: &[Transfer<Settled>]) -> Result<(), Error> {
    let (mut ids, mut transfer_ids, mut account_ids) = (vec![], vec![], vec![]);
    let (mut tenants, mut amounts, mut currencies): (Vec<&str>, _, Vec<&str>) = (vec![], vec![], vec![]);
    let mut times: Vec<DateTime<Utc>> = Vec::new();
    for transfer in transfers {
        let Details { tenant, .. } = &transfer.details;
        for Posting { id, transfer_id, account_id, amount, created_at } in transfer.postings() {
            ids.push(id);
            transfer_ids.push(transfer_id);
            account_ids.push(account_id);
            tenants.push(tenant);
            amounts.push(amount.minor());
            currencies.push(amount.currency().code());
            times.push(created_at);
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    let params: [&(dyn ToSql + Sync); 7] =
        [&ids, &transfer_ids, &account_ids, &tenants, &amounts, &currencies, &times];
    tx.execute_exactly(ids.len() as u64, INSERT, &params).await
}

/// Returns the postings of the page, in scan order. The caller checks the tenant of the account.
pub(crate) async fn list(
    tx: &Tx<'_>,
    account_id: Uuid,
    created: &TimeRange,
    page: &PageQuery<Uuid>,
) -> Result<Vec<Posting>, Error> {
    let statement = match (page.scan(), page.boundary()) {
        (Scan::Ascending, Boundary::Exclusive) => AFTER,
        (Scan::Ascending, Boundary::Inclusive) => FROM,
        (Scan::Descending, Boundary::Exclusive) => BEFORE,
        (Scan::Descending, Boundary::Inclusive) => UP_TO,
    };
    let (from, to) = (created.from.map(Timestamp::at), created.to.map(Timestamp::at));
    let (at, id) = (page.key().map(|key| key.at), page.key().map(|key| key.id));
    let params: [&(dyn ToSql + Sync); 6] = [&account_id, &from, &to, &at, &id, &page.fetch()];
    let rows = tx.query_with_custom_plan(statement, &params).await?;
    rows.iter().map(posting).collect()
}

fn posting(row: &Row) -> Result<Posting, Error> {
    Ok(Posting {
        id: row.column("id")?,
        transfer_id: row.column("transfer_id")?,
        account_id: row.column("account_id")?,
        amount: Money::new(row.column("amount")?, super::currency(row)?),
        created_at: row.column("created_at")?,
    })
}
