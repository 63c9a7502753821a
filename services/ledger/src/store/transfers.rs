//! The table `transfers`.

use chrono::{DateTime, Utc};
use money::Money;
use pg::{Columns as _, Error, Pool, Row, Tx, types::ToSql};
use uuid::Uuid;

use crate::domain::{
    Details, FailureReason, Instruction, Outcome, Pending, Reference, Settled, Snapshot, Transfer,
};

const INSERT: &str = "\
INSERT INTO transfers
    (id, tenant, source, destination, amount, currency, reference, reverses, state, version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $10)";

const FIND: &str = "\
SELECT id, tenant, source, destination, amount, currency, reference, reverses, state, failure_reason, version,
    created_at, updated_at
FROM transfers WHERE id = $1 AND tenant = $2";

const LOCK: &str = "\
SELECT id, tenant, source, destination, amount, currency, reference, reverses, state, failure_reason, version,
    created_at, updated_at
FROM transfers WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE";

const HAS_REVERSAL: &str = "\
SELECT EXISTS (SELECT FROM transfers WHERE reverses = $1 AND state <> 'failed') AS has_reversal";

const UPDATE_SETTLED: &str = "\
UPDATE transfers
SET state = settled.state, failure_reason = settled.reason, version = settled.version, updated_at = settled.at
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[]) AS settled (id, version, state, reason, at)
WHERE transfers.id = settled.id AND transfers.version = settled.version - 1";

/// The row of the reversal was inserted under the lock of this row, and only a succeeded transfer has a reversal.
const UPDATE_REVERSED: &str = "\
UPDATE transfers SET state = 'reversed', version = version + 1, updated_at = reversed.at
FROM unnest($1::uuid[], $2::timestamptz[]) AS reversed (id, at)
WHERE transfers.id = reversed.id";

pub(crate) async fn insert(tx: &Tx<'_>, transfer: &Transfer<Pending>) -> Result<(), Error> {
    let Details { id, tenant, instruction, created_at } = &transfer.details;
    let Instruction { source, destination, amount, reference, reverses } = instruction;
    let (minor, currency, reference) = (amount.minor(), amount.currency().code(), reference.as_str());
    let params: [&(dyn ToSql + Sync); 10] = [
        id,
        tenant,
        source,
        destination,
        &minor,
        &currency,
        &reference,
        reverses,
        &transfer.version,
        created_at,
    ];
    tx.execute_exactly(1, INSERT, &params).await
}

/// Returns a transfer of the tenant.
pub(crate) async fn find(pool: &Pool, tenant: &str, id: Uuid) -> Result<Option<Snapshot>, Error> {
    let row = pg::query_opt(pool, "find_transfer", FIND, &[&id, &tenant]).await?;
    row.as_ref().map(snapshot).transpose()
}

/// Locks a transfer of the tenant until the end of the transaction, before its accounts.
pub(crate) async fn lock(tx: &Tx<'_>, tenant: &str, id: Uuid) -> Result<Option<Snapshot>, Error> {
    let row = tx.query_opt(LOCK, &[&id, &tenant]).await?;
    row.as_ref().map(snapshot).transpose()
}

/// Returns whether a reversal of the transfer is pending or has succeeded.
///
/// A statement of its own behind the lock: a statement that waits for a lock does not see what other transactions have inserted meanwhile.
pub(crate) async fn has_reversal(tx: &Tx<'_>, id: Uuid) -> Result<bool, Error> {
    tx.query_one(HAS_REVERSAL, &[&id]).await?.column("has_reversal")
}

/// Stores the outcomes. This transaction has locked the transfers.
pub(crate) async fn update_settled(tx: &Tx<'_>, transfers: &[Transfer<Settled>]) -> Result<(), Error> {
    let ids: Vec<Uuid> = transfers.iter().map(|transfer| transfer.details.id).collect();
    let versions: Vec<i32> = transfers.iter().map(|transfer| transfer.version).collect();
    let outcomes = || transfers.iter().map(|transfer| transfer.state.outcome);
    let states: Vec<&str> = outcomes().map(|outcome| outcome.state().as_str()).collect();
    let reasons: Vec<Option<&str>> =
        outcomes().map(|outcome| outcome.reason().map(FailureReason::as_str)).collect();
    let times: Vec<DateTime<Utc>> = transfers.iter().map(|transfer| transfer.state.at).collect();
    let count = transfers.len() as u64;
    tx.execute_exactly(count, UPDATE_SETTLED, &[&ids, &versions, &states, &reasons, &times]).await
}

/// Marks the transfers that these reversals take back.
pub(crate) async fn update_reversed(tx: &Tx<'_>, transfers: &[Transfer<Settled>]) -> Result<(), Error> {
    let reversals = transfers.iter().filter(|transfer| transfer.state.outcome == Outcome::Succeeded);
    let (ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) = reversals
        .filter_map(|transfer| Some((transfer.details.instruction.reverses?, transfer.state.at)))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute_exactly(ids.len() as u64, UPDATE_REVERSED, &[&ids, &times]).await
}

pub(super) fn details(row: &Row) -> Result<Details, Error> {
    Ok(Details {
        id: row.column("id")?,
        tenant: row.column("tenant")?,
        instruction: Instruction {
            source: row.column("source")?,
            destination: row.column("destination")?,
            amount: Money::new(row.column("amount")?, super::currency(row)?),
            reference: Reference::from_stored(row.column("reference")?),
            reverses: row.column("reverses")?,
        },
        created_at: row.column("created_at")?,
    })
}

pub(super) fn snapshot(row: &Row) -> Result<Snapshot, Error> {
    let failed: Option<&str> = row.column("failure_reason")?;
    Ok(Snapshot {
        details: details(row)?,
        version: row.column("version")?,
        state: super::known(row, "state")?,
        failure_reason: failed.map(|_| super::known(row, "failure_reason")).transpose()?,
        updated_at: row.column("updated_at")?,
    })
}
