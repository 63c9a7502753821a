//! All SQL of this service.

pub(crate) mod list;

use auth::Tenant;
use http_api::conditional::Conditions;
use pg::{Columns as _, Error, Migration, Pool, Row, Schema, Tx};

use crate::domain::{Code, Link, Put, Target};

const MIGRATIONS: &[Migration] = &[
    ("V1__create_links", include_str!("../migrations/V1__create_links.sql")),
    ("V2__add_target_host", include_str!("../migrations/V2__add_target_host.sql")),
    ("V3__index_links_by_time", include_str!("../migrations/V3__index_links_by_time.sql")),
    ("V4__index_links_by_host", include_str!("../migrations/V4__index_links_by_host.sql")),
];

/// All schemas in the database of the service.
pub(crate) const SCHEMAS: &[Schema] =
    &[("url_shortener", MIGRATIONS), ("idempotency", idempotency::http::MIGRATIONS)];

const INSERT: &str = "\
INSERT INTO links (code, tenant, target) VALUES ($1, $2, $3) ON CONFLICT (code) DO NOTHING
RETURNING code, target, version, created_at, updated_at";

/// Returns no row if it wrote nothing. It locks the row in any case, so the next statement reads the same version.
///
/// `now()` is the start of the transaction. It can be before the creation of a row for which the statement waited.
const UPSERT: &str = "\
INSERT INTO links (code, tenant, target) VALUES ($1, $2, $3)
ON CONFLICT (code) DO UPDATE
    SET target = excluded.target, version = links.version + 1, updated_at = greatest(clock_timestamp(), links.updated_at)
    WHERE links.tenant = excluded.tenant AND links.target <> excluded.target
RETURNING code, target, version, created_at, updated_at";

const FIND: &str = "\
SELECT code, target, version, created_at, updated_at FROM links WHERE code = $1 AND tenant = $2";

const LOCK: &str = "\
SELECT code, target, version, created_at, updated_at FROM links WHERE code = $1 AND tenant = $2 FOR UPDATE";

const FIND_TARGET: &str = "SELECT target FROM links WHERE code = $1";

/// Creates a link, unless the code is in use.
pub(crate) async fn insert(
    tx: &Tx<'_>,
    tenant: &Tenant,
    code: &Code,
    target: &Target,
) -> Result<Option<Link>, Error> {
    let row = tx.query_opt(INSERT, &[&code.as_str(), &tenant.as_str(), &target.as_str()]).await?;
    row.as_ref().map(link).transpose()
}

/// Creates the link or changes its target, unless another tenant has the code.
pub(crate) async fn put(tx: &Tx<'_>, tenant: &Tenant, code: &Code, target: &Target) -> Result<Put, Error> {
    let written = tx.query_opt(UPSERT, &[&code.as_str(), &tenant.as_str(), &target.as_str()]).await?;
    let Some(row) = written else {
        return Ok(find(tx, tenant, code).await?.map_or(Put::Taken, Put::Unchanged));
    };
    let link = link(&row)?;
    Ok(if link.version == 1 { Put::Created(link) } else { Put::Updated(link) })
}

/// Does the same as [`put`] if the conditions hold. The link is locked while they are evaluated, or this statement creates it.
///
/// A request that fails without conditions fails for the same reason with them (RFC 9110, section 13.2.1). A change that has already been
/// made succeeds: the request may be the retry of one whose response got lost (section 13.1.1).
pub(crate) async fn put_if(
    tx: &Tx<'_>,
    tenant: &Tenant,
    code: &Code,
    target: &Target,
    conditions: &Conditions,
) -> Result<Put, Error> {
    if conditions.hold(None)
        && let Some(link) = insert(tx, tenant, code, target).await?
    {
        return Ok(Put::Created(link));
    }
    let Some(row) = tx.query_opt(LOCK, &[&code.as_str(), &tenant.as_str()]).await? else {
        let taken = tx.query_opt(FIND_TARGET, &[&code.as_str()]).await?.is_some();
        return Ok(if taken { Put::Taken } else { Put::ConditionsFailed });
    };
    let link = link(&row)?;
    if conditions.hold(Some(&link.tag())) {
        return put(tx, tenant, code, target).await;
    }
    let repeated = conditions.allow_repetition() && link.target == *target;
    Ok(if repeated { Put::Unchanged(link) } else { Put::ConditionsFailed })
}

/// Returns the link with this code if it belongs to the tenant.
pub(crate) async fn find(tx: &Tx<'_>, tenant: &Tenant, code: &Code) -> Result<Option<Link>, Error> {
    let row = tx.query_opt(FIND, &[&code.as_str(), &tenant.as_str()]).await?;
    row.as_ref().map(link).transpose()
}

/// Returns the target of a code, for any caller.
pub(crate) async fn find_target(pool: &Pool, code: &Code) -> Result<Option<Target>, Error> {
    let row = pg::query_opt(pool, "redirect", FIND_TARGET, &[&code.as_str()]).await?;
    row.map(|row| Ok(Target::from_stored(row.column("target")?))).transpose()
}

fn link(row: &Row) -> Result<Link, Error> {
    Ok(Link {
        code: Code::from_stored(row.column("code")?),
        target: Target::from_stored(row.column("target")?),
        version: row.column("version")?,
        created_at: row.column("created_at")?,
        updated_at: row.column("updated_at")?,
    })
}
