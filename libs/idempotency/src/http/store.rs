//! The table of keys and first responses, and transactions with a known outcome.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use pg::{Columns as _, Error, Pool, Row, Tx, TxError, TxFuture, types::Json};

use super::{Fingerprint, Request, Response, Retention, fingerprint::Parts};

/// Serialises the requests of one key without waiting. The lock is a hash: a collision of two keys costs one a retry.
const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || E'\\x1f' || $2, 0))";

/// Runs after the lock: under READ COMMITTED it sees what the last holder of the lock has committed.
const FIND: &str = "\
SELECT fingerprint_version, method, route, query_hash, body_hash, body_parts, status, headers, body
FROM idempotency_keys WHERE tenant = $1 AND key = $2 AND expires_at > now()";

/// Further runs: six, after less than a second in all. What cut one connection has cut others, and each run may get one of those.
const BACKOFF: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(5)).with_max_times(6).with_jitter();

/// Replaces an expired row that is not purged yet.
const INSERT_FINISHED: &str = "\
INSERT INTO idempotency_keys
    (tenant, key, fingerprint_version, method, route, query_hash, body_hash, body_parts, status, headers, body, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + make_interval(secs => $12))
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint_version = excluded.fingerprint_version, method = excluded.method, route = excluded.route,
    query_hash = excluded.query_hash, body_hash = excluded.body_hash, body_parts = excluded.body_parts, status = excluded.status,
    headers = excluded.headers, body = excluded.body, created_at = now(), expires_at = excluded.expires_at
WHERE idempotency_keys.expires_at <= now()";

/// A key that is stored and not expired.
pub(super) struct Record {
    pub(super) fingerprint: Fingerprint,
    pub(super) response: Response,
}

/// Locks the key for this transaction; `false` when another transaction has it.
pub(super) async fn try_lock(tx: &Tx<'_>, request: &Request) -> Result<bool, Error> {
    tx.query_one(TRY_LOCK, &[&request.tenant, &request.key.as_str()]).await?.column(0)
}

pub(super) async fn find(tx: &Tx<'_>, request: &Request) -> Result<Option<Record>, Error> {
    let row = tx.query_opt(FIND, &[&request.tenant, &request.key.as_str()]).await?;
    row.map(|row| Ok(Record { fingerprint: fingerprint(&row)?, response: response(&row)? })).transpose()
}

fn fingerprint(row: &Row) -> Result<Fingerprint, Error> {
    let body_hash: Vec<u8> = row.column("body_hash")?;
    let parts: Option<serde_json::Value> = row.column("body_parts")?;
    // Without the parts the details of a mismatch are less precise.
    let parts = parts.and_then(|parts| serde_json::from_value::<Parts>(parts).ok());
    Ok(Fingerprint {
        version: row.column("fingerprint_version")?,
        method: row.column("method")?,
        route: row.column("route")?,
        query_hash: row.column("query_hash")?,
        body_parts: parts.filter(|parts| parts.are_of(&body_hash)),
        body_hash,
    })
}

fn response(row: &Row) -> Result<Response, Error> {
    let (status, Json(headers)): (i16, Json<_>) = (row.column("status")?, row.column("headers")?);
    Ok(Response { status: status.unsigned_abs(), headers, body: row.column("body")? })
}

fn status(response: &Response) -> i16 {
    i16::try_from(response.status).unwrap_or(i16::MAX)
}

/// Inserts the response of a request that takes effect in this transaction.
pub(super) async fn insert_finished(
    tx: &Tx<'_>,
    request: &Request,
    retention: Retention,
    response: &Response,
) -> Result<(), Error> {
    let fingerprint = &request.fingerprint;
    tx.execute_exactly(
        1,
        INSERT_FINISHED,
        &[
            &request.tenant,
            &request.key.as_str(),
            &fingerprint.version,
            &fingerprint.method,
            &fingerprint.route,
            &fingerprint.query_hash,
            &fingerprint.body_hash,
            &fingerprint.body_parts.as_ref().map(Json),
            &status(response),
            &Json(&response.headers),
            &response.body,
            &retention.as_secs_f64(),
        ],
    )
    .await
}

/// Runs a transaction that detects whether it has committed before, as [`pg::run_tx`] does. After an unknown COMMIT it runs again until
/// the database answers or the backoff ends.
pub(super) async fn run_settled<C, T, E, F>(
    pool: &Pool,
    name: &'static str,
    context: &C,
    work: F,
) -> Result<T, E>
where
    C: Sync + ?Sized,
    E: TxError,
    F: for<'t, 'c> Fn(&'t Tx<'c>, &'t C) -> TxFuture<'t, T, E>,
{
    let mut result = pg::run_tx(pool, name, context, &work).await;
    if !matches!(failure(&result), Some(Error::CommitUnknown(_))) {
        return result;
    }
    tracing::warn!(transaction = name, "the outcome of a COMMIT is unknown, running the transaction again");
    for pause in BACKOFF.build() {
        tokio::time::sleep(pause).await;
        result = pg::run_tx(pool, name, context, &work).await;
        if !matches!(failure(&result), Some(Error::CommitUnknown(_) | Error::Unavailable(_))) {
            break;
        }
    }
    result
}

fn failure<T, E: TxError>(result: &Result<T, E>) -> Option<&Error> {
    result.as_ref().err().and_then(TxError::database)
}
