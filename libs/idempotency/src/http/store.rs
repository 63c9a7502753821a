//! The table of stored responses.

use std::time::Duration;

use pg::{Error, Row, Tx, types::ToSql};

use super::{Fingerprint, Request, Response, fingerprint};

/// Serialises the requests of one key without making them wait. Taken by hash: two keys that share one only ever cost
/// each other a retry.
const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || E'\\x1f' || $2, 0))";

/// A statement of its own, after the lock: under READ COMMITTED it sees what the lock's last holder committed.
const FIND: &str = "\
SELECT fingerprint_version, method, route, query_hash, body_hash, status, headers, body
FROM idempotency_keys WHERE tenant = $1 AND key = $2 AND expires_at > now()";

/// Takes over an expired row that nobody purged yet.
const INSERT: &str = "\
INSERT INTO idempotency_keys
    (tenant, key, fingerprint_version, method, route, query_hash, body_hash, status, headers, body, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(secs => $11))
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint_version = excluded.fingerprint_version, method = excluded.method, route = excluded.route,
    query_hash = excluded.query_hash, body_hash = excluded.body_hash, status = excluded.status,
    headers = excluded.headers, body = excluded.body, created_at = now(), expires_at = excluded.expires_at
WHERE idempotency_keys.expires_at <= now()";

/// What is known about a key.
pub(super) enum Claim {
    /// Nothing: this transaction owns it now.
    Free,
    /// This very request was answered before.
    Completed(Response),
    /// Another transaction owns it.
    InProgress,
    /// It was used for a request that differs in these parts.
    Mismatch(Vec<&'static str>),
}

pub(super) async fn claim(tx: &Tx<'_>, request: &Request) -> Result<Claim, Error> {
    let scope: [&(dyn ToSql + Sync); 2] = [&request.tenant, &request.key.as_str()];
    if !tx.query_one(TRY_LOCK, &scope).await?.get::<_, bool>(0) {
        return Ok(Claim::InProgress);
    }
    Ok(match tx.query_opt(FIND, &scope).await? {
        None => Claim::Free,
        Some(row) => compare(&row, &request.fingerprint),
    })
}

fn compare(row: &Row, asked: &Fingerprint) -> Claim {
    let stored = Fingerprint {
        method: row.get("method"),
        route: row.get("route"),
        query_hash: row.get("query_hash"),
        body_hash: row.get("body_hash"),
    };
    let same_version = row.get::<_, i16>("fingerprint_version") == fingerprint::VERSION;
    let differences = stored.differences(asked, same_version);
    if differences.is_empty() { Claim::Completed(response(row)) } else { Claim::Mismatch(differences) }
}

fn response(row: &Row) -> Response {
    let headers: serde_json::Value = row.get("headers");
    Response {
        status: row.get::<_, i16>("status").unsigned_abs(),
        headers: serde_json::from_value(headers).unwrap_or_default(),
        body: row.get("body"),
    }
}

pub(super) async fn complete(
    tx: &Tx<'_>,
    request: &Request,
    retention: Duration,
    response: &Response,
) -> Result<(), Error> {
    let status = i16::try_from(response.status).unwrap_or(i16::MAX);
    let headers = serde_json::json!(response.headers);
    let fingerprint = &request.fingerprint;
    tx.execute_exactly(
        1,
        INSERT,
        &[
            &request.tenant,
            &request.key.as_str(),
            &fingerprint::VERSION,
            &fingerprint.method,
            &fingerprint.route,
            &fingerprint.query_hash,
            &fingerprint.body_hash,
            &status,
            &headers,
            &response.body,
            &retention.as_secs_f64(),
        ],
    )
    .await
}
