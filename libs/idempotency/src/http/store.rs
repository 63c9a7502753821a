//! The table of keys, and their first responses.

use std::time::Duration;

use pg::{Columns as _, Error, Row, Tx};
use uuid::Uuid;

use super::{
    Fingerprint, Request, Response, Retention,
    fingerprint::{Differences, Parts},
};

/// Serialises the requests of one key without making them wait. Taken by hash: two keys that share one only ever cost
/// each other a retry.
const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || E'\\x1f' || $2, 0))";

/// A statement of its own, after the lock: under READ COMMITTED it sees what the lock's last holder committed.
const FIND: &str = "\
SELECT fingerprint_version, method, route, query_hash, body_hash, body_parts, status, headers, body, owner,
    extract(epoch FROM lease_until - now())::float8 AS lease_left_s
FROM idempotency_keys WHERE tenant = $1 AND key = $2 AND expires_at > now()";

/// Takes over an expired row that nobody purged yet.
const INSERT_FINISHED: &str = "\
INSERT INTO idempotency_keys
    (tenant, key, fingerprint_version, method, route, query_hash, body_hash, body_parts, status, headers, body, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + make_interval(secs => $12))
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint_version = excluded.fingerprint_version, method = excluded.method, route = excluded.route,
    query_hash = excluded.query_hash, body_hash = excluded.body_hash, body_parts = excluded.body_parts, status = excluded.status,
    headers = excluded.headers, body = excluded.body, created_at = now(), expires_at = excluded.expires_at,
    operation = NULL, recovery_point = NULL, owner = NULL
WHERE idempotency_keys.expires_at <= now()";

/// A key that is known, and not expired.
pub(super) struct Record {
    fingerprint: Fingerprint,
    pub(super) state: State,
}

/// How far the request of a key has got.
pub(super) enum State {
    Finished(Response),
    /// Its effect reaches outside the database, and somebody works on it, or did and died.
    Unfinished {
        owner: Uuid,
        /// Zero when the lease has passed.
        lease_left: Duration,
    },
}

impl Record {
    /// Whether its response is there. Nothing changes such a record before it expires.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished(_))
    }

    /// In what a request differs from the one that made this record.
    pub(super) fn differences(&self, asked: &Fingerprint) -> Differences {
        self.fingerprint.differences(asked)
    }
}

/// Takes the key for this transaction; `false` when another one has it.
pub(super) async fn try_lock(tx: &Tx<'_>, request: &Request) -> Result<bool, Error> {
    tx.query_one(TRY_LOCK, &[&request.tenant, &request.key.as_str()]).await?.column(0)
}

/// Returns what is known about the key.
pub(super) async fn find(tx: &Tx<'_>, request: &Request) -> Result<Option<Record>, Error> {
    let row = tx.query_opt(FIND, &[&request.tenant, &request.key.as_str()]).await?;
    row.map(|row| Ok(Record { fingerprint: fingerprint(&row)?, state: state(&row)? })).transpose()
}

fn state(row: &Row) -> Result<State, Error> {
    let status: Option<i16> = row.column("status")?;
    Ok(match status {
        Some(_) => State::Finished(response(row)?),
        None => State::Unfinished {
            owner: row.column("owner")?,
            lease_left: Duration::try_from_secs_f64(row.column("lease_left_s")?).unwrap_or_default(),
        },
    })
}

fn fingerprint(row: &Row) -> Result<Fingerprint, Error> {
    let body_hash: Vec<u8> = row.column("body_hash")?;
    let parts: Option<serde_json::Value> = row.column("body_parts")?;
    // Without them an answer is less precise, and as right as before.
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

/// Reads the response of a finished row.
pub(super) fn response(row: &Row) -> Result<Response, Error> {
    let (status, headers): (i16, serde_json::Value) = (row.column("status")?, row.column("headers")?);
    let unreadable =
        |error| Error::Unreadable { column: "headers".to_owned(), source: std::sync::Arc::new(error) };
    Ok(Response {
        status: status.unsigned_abs(),
        headers: serde_json::from_value(headers).map_err(unreadable)?,
        body: row.column("body")?,
    })
}

/// Returns status and headers as they are stored.
pub(super) fn columns(response: &Response) -> (i16, serde_json::Value) {
    (i16::try_from(response.status).unwrap_or(i16::MAX), serde_json::json!(response.headers))
}

/// Returns the parts of a body as they are stored.
pub(super) fn body_parts(fingerprint: &Fingerprint) -> Option<serde_json::Value> {
    fingerprint.body_parts.as_ref().map(|parts| serde_json::json!(parts))
}

/// Stores the response of a request that takes effect in this transaction.
pub(super) async fn insert_finished(
    tx: &Tx<'_>,
    request: &Request,
    retention: Retention,
    response: &Response,
) -> Result<(), Error> {
    let (status, headers) = columns(response);
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
            &body_parts(fingerprint),
            &status,
            &headers,
            &response.body,
            &retention.as_secs_f64(),
        ],
    )
    .await
}
