//! SQL of remote operations. Every write has owner and fencing token, so it fails after another attempt has taken over.
//!
//! A lease begins at `clock_timestamp()`, when its statement has the row; `now()` is the begin of the transaction, which may have
//! waited for the row. An expiry is compared with `now()`, in favour of the owner.

use std::time::Duration;

use pg::{
    Columns as _, Error, Row, Tx,
    types::{Json, ToSql},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::http::{Key, Request, Response, Retention, store};

/// Replaces an expired row that is not purged yet, with the next fencing token.
const INSERT: &str = "\
INSERT INTO idempotency_keys
    (tenant, key, fingerprint_version, method, route, query_hash, body_hash, body_parts, expires_at,
     operation, input, owner, lease_until, fence, attempts, recovery_point, steps)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'infinity', $9, $10, $11, clock_timestamp() + make_interval(secs => $12), 1, 1, 'claimed', '{}')
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint_version = excluded.fingerprint_version, method = excluded.method, route = excluded.route,
    query_hash = excluded.query_hash, body_hash = excluded.body_hash, body_parts = excluded.body_parts, status = NULL, headers = NULL, body = NULL,
    created_at = now(), expires_at = 'infinity', operation = excluded.operation, input = excluded.input,
    owner = excluded.owner, lease_until = excluded.lease_until, fence = idempotency_keys.fence + 1, attempts = 1,
    recovery_point = 'claimed', steps = '{}'
WHERE idempotency_keys.expires_at <= now()
RETURNING tenant, key, body_hash, owner, fence, attempts, steps, input";

const TAKE_OVER: &str = "\
UPDATE idempotency_keys
SET owner = $3, fence = fence + 1, attempts = attempts + 1, lease_until = clock_timestamp() + make_interval(secs => $4)
WHERE tenant = $1 AND key = $2 AND operation = $5 AND status IS NULL AND lease_until <= now()
RETURNING tenant, key, body_hash, owner, fence, attempts, steps, input";

const TAKE_OVER_NEXT: &str = "\
UPDATE idempotency_keys
SET owner = $2, fence = fence + 1, attempts = attempts + 1, lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE (tenant, key) = (
    SELECT tenant, key FROM idempotency_keys
    WHERE operation = $1 AND status IS NULL AND lease_until <= now()
    ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING tenant, key, body_hash, owner, fence, attempts, steps, input";

/// Finds the claim after a COMMIT with an unknown outcome.
const FIND_CLAIM: &str = "\
SELECT tenant, key, body_hash, owner, fence, attempts, steps, input
FROM idempotency_keys WHERE tenant = $1 AND key = $2 AND owner = $3 AND status IS NULL";

const REACH: &str = "\
UPDATE idempotency_keys SET recovery_point = $5, lease_until = clock_timestamp() + make_interval(secs => $6)
WHERE tenant = $1 AND key = $2 AND owner = $3 AND fence = $4 AND status IS NULL";

const RECORD: &str = "\
UPDATE idempotency_keys SET recovery_point = $5, lease_until = clock_timestamp() + make_interval(secs => $6),
    steps = steps || jsonb_build_object($7::text, $8::jsonb)
WHERE tenant = $1 AND key = $2 AND owner = $3 AND fence = $4 AND status IS NULL";

/// Renews a lease, or releases it with a shorter time.
const LEASE: &str = "\
UPDATE idempotency_keys SET lease_until = clock_timestamp() + make_interval(secs => $5)
WHERE tenant = $1 AND key = $2 AND owner = $3 AND fence = $4 AND status IS NULL";

/// Blocks a takeover until the transaction ends.
const LOCK: &str = "\
SELECT steps, status, headers, body FROM idempotency_keys
WHERE tenant = $1 AND key = $2 AND owner = $3 AND fence = $4 FOR UPDATE";

const FORGET: &str = "\
DELETE FROM idempotency_keys
WHERE tenant = $1 AND key = $2 AND owner = $3 AND fence = $4 AND status IS NULL AND recovery_point = 'claimed'";

const FINISH: &str = "\
UPDATE idempotency_keys SET status = $5, headers = $6, body = $7, expires_at = now() + make_interval(secs => $8),
    recovery_point = 'finished', input = NULL, steps = NULL, lease_until = NULL
WHERE tenant = $1 AND key = $2 AND owner = $3 AND fence = $4 AND status IS NULL";

const COUNT_UNFINISHED: &str = "\
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
FROM idempotency_keys WHERE operation = $1 AND status IS NULL";

/// The claim of a key, valid until another attempt has a greater fencing token.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) tenant: String,
    pub(super) key: Key,
    /// The body hash of the first request.
    pub(super) body_hash: Vec<u8>,
    owner: Uuid,
    pub(super) fence: i64,
    /// Started attempts, with this one.
    pub(super) attempts: i32,
    /// Results of finished steps.
    pub(super) steps: Map<String, Value>,
    pub(super) input: Value,
}

impl Claim {
    fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            tenant: row.column("tenant")?,
            key: Key(row.column("key")?),
            body_hash: row.column("body_hash")?,
            owner: row.column("owner")?,
            fence: row.column("fence")?,
            attempts: row.column("attempts")?,
            steps: row.column::<Json<_>>("steps")?.0,
            input: row.column("input")?,
        })
    }
}

/// The locked row of a claim.
pub(super) enum Locked {
    Unfinished(Map<String, Value>),
    /// By this attempt, whose COMMIT had an unknown outcome.
    Finished(Response),
}

pub(super) async fn insert(
    tx: &Tx<'_>,
    request: &Request,
    (operation, input): (&str, &Value),
    owner: Uuid,
    lease: Duration,
) -> Result<Claim, Error> {
    let fingerprint = &request.fingerprint;
    let row = tx
        .query_one(
            INSERT,
            &[
                &request.tenant,
                &request.key.as_str(),
                &fingerprint.version,
                &fingerprint.method,
                &fingerprint.route,
                &fingerprint.query_hash,
                &fingerprint.body_hash,
                &fingerprint.body_parts.as_ref().map(Json),
                &operation,
                &input,
                &owner,
                &lease.as_secs_f64(),
            ],
        )
        .await?;
    Claim::of(&row)
}

/// Takes over a key with an expired lease; `None` when another attempt was faster.
pub(super) async fn take_over(
    tx: &Tx<'_>,
    request: &Request,
    operation: &str,
    owner: Uuid,
    lease: Duration,
) -> Result<Option<Claim>, Error> {
    let scope: [&(dyn ToSql + Sync); 5] =
        [&request.tenant, &request.key.as_str(), &owner, &lease.as_secs_f64(), &operation];
    tx.query_opt(TAKE_OVER, &scope).await?.as_ref().map(Claim::of).transpose()
}

/// Takes over the key of this operation whose lease expired first.
pub(super) async fn take_over_next(
    tx: &Tx<'_>,
    operation: &str,
    owner: Uuid,
    lease: Duration,
) -> Result<Option<Claim>, Error> {
    let row = tx.query_opt(TAKE_OVER_NEXT, &[&operation, &owner, &lease.as_secs_f64()]).await?;
    row.as_ref().map(Claim::of).transpose()
}

pub(super) async fn find_claim(tx: &Tx<'_>, request: &Request, owner: Uuid) -> Result<Option<Claim>, Error> {
    let row = tx.query_opt(FIND_CLAIM, &[&request.tenant, &request.key.as_str(), &owner]).await?;
    row.as_ref().map(Claim::of).transpose()
}

/// Moves to a recovery point; `false` when the claim is lost.
pub(super) async fn reach(tx: &Tx<'_>, claim: &Claim, point: &str, lease: Duration) -> Result<bool, Error> {
    let Claim { tenant, key, owner, fence, .. } = claim;
    let touched =
        tx.execute(REACH, &[tenant, &key.as_str(), owner, fence, &point, &lease.as_secs_f64()]).await?;
    Ok(touched == 1)
}

/// Moves to a recovery point with the result of its step; `false` when the claim is lost.
pub(super) async fn record(
    tx: &Tx<'_>,
    claim: &Claim,
    point: &str,
    (step, result): (&str, &Value),
    lease: Duration,
) -> Result<bool, Error> {
    let Claim { tenant, key, owner, fence, .. } = claim;
    let params: [&(dyn ToSql + Sync); 8] =
        [tenant, &key.as_str(), owner, fence, &point, &lease.as_secs_f64(), &step, result];
    Ok(tx.execute(RECORD, &params).await? == 1)
}

/// Sets the end of the lease; `false` when the claim is lost.
pub(super) async fn lease(tx: &Tx<'_>, claim: &Claim, from_now: Duration) -> Result<bool, Error> {
    let Claim { tenant, key, owner, fence, .. } = claim;
    let touched = tx.execute(LEASE, &[tenant, &key.as_str(), owner, fence, &from_now.as_secs_f64()]).await?;
    Ok(touched == 1)
}

/// Locks the row of the claim; `None` when the claim is lost.
pub(super) async fn lock(tx: &Tx<'_>, claim: &Claim) -> Result<Option<Locked>, Error> {
    let Claim { tenant, key, owner, fence, .. } = claim;
    let row = tx.query_opt(LOCK, &[tenant, &key.as_str(), owner, fence]).await?;
    let Some(row) = row else { return Ok(None) };
    let status: Option<i16> = row.column("status")?;
    Ok(Some(match status {
        Some(_) => Locked::Finished(store::response(&row)?),
        None => Locked::Unfinished(row.column::<Json<_>>("steps")?.0),
    }))
}

/// Deletes the key if no step was begun; `false` when a step was begun or the claim is lost.
pub(super) async fn forget(tx: &Tx<'_>, claim: &Claim) -> Result<bool, Error> {
    let Claim { tenant, key, owner, fence, .. } = claim;
    Ok(tx.execute(FORGET, &[tenant, &key.as_str(), owner, fence]).await? == 1)
}

/// Stores the response; `false` when the claim is lost.
pub(super) async fn finish(
    tx: &Tx<'_>,
    claim: &Claim,
    response: &Response,
    retention: Retention,
) -> Result<bool, Error> {
    let Claim { tenant, key, owner, fence, .. } = claim;
    let (status, headers) = (store::status(response), Json(&response.headers));
    let params: [&(dyn ToSql + Sync); 8] =
        [tenant, &key.as_str(), owner, fence, &status, &headers, &response.body, &retention.as_secs_f64()];
    Ok(tx.execute(FINISH, &params).await? == 1)
}

/// Returns how many keys of this operation are unfinished, and the age of the oldest in seconds.
pub(super) async fn count_unfinished(tx: &Tx<'_>, operation: &str) -> Result<(i64, f64), Error> {
    let row = tx.query_one(COUNT_UNFINISHED, &[&operation]).await?;
    Ok((row.column(0)?, row.column(1)?))
}
