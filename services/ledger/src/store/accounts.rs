//! The table `accounts`.

use chrono::{DateTime, Utc};
use pg::{Columns as _, Error, Pool, Row, Tx};
use uuid::Uuid;

use crate::domain::{Account, AccountName, Books, NewAccount};

const INSERT: &str = "\
INSERT INTO accounts
    (id, tenant, name, kind, currency, may_overdraw, state, posted, held, incoming, version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const FIND: &str = "\
SELECT id, tenant, name, kind, currency, may_overdraw, state, posted, held, incoming, version, created_at, updated_at
FROM accounts WHERE id = $1 AND tenant = $2";

const LOCK: &str = "\
SELECT id, tenant, name, kind, currency, may_overdraw, state, posted, held, incoming, version, created_at, updated_at
FROM accounts WHERE id = $1 AND tenant = $2 FOR NO KEY UPDATE";

/// The one order of all row locks of accounts, so that transfers in opposite directions do not deadlock. NO KEY, so that the foreign keys of
/// new transfers and postings do not wait.
const LOCK_OF_TENANT: &str = "\
SELECT id, tenant, name, kind, currency, may_overdraw, state, posted, held, incoming, version, created_at, updated_at
FROM accounts WHERE id = ANY($1) AND tenant = $2 ORDER BY id FOR NO KEY UPDATE";

/// In the same order.
const LOCK_ALL: &str = "\
SELECT id, tenant, name, kind, currency, may_overdraw, state, posted, held, incoming, version, created_at, updated_at
FROM accounts WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const UPDATE_BALANCES: &str = "\
UPDATE accounts
SET posted = new.posted, held = new.held, incoming = new.incoming, version = new.version, updated_at = new.updated_at
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
    AS new (id, posted, held, incoming, version, updated_at)
WHERE accounts.id = new.id";

const UPDATE_STATE: &str = "UPDATE accounts SET state = $2, version = $3, updated_at = $4 WHERE id = $1";

const HAS_PENDING: &str = "\
SELECT EXISTS (SELECT FROM transfers WHERE source = $1 AND state = 'pending')
    OR EXISTS (SELECT FROM transfers WHERE destination = $1 AND state = 'pending') AS has_pending";

pub(crate) async fn insert(tx: &Tx<'_>, account: &Account) -> Result<(), Error> {
    let Account { id, tenant, facts, state, posted, held, incoming, version, created_at, updated_at } =
        account;
    let NewAccount { name, kind, currency, may_overdraw } = facts;
    let (name, kind) = (name.as_ref().map(AccountName::as_str), kind.as_str());
    let (currency, state) = (currency.code(), state.as_str());
    let params: [&(dyn pg::types::ToSql + Sync); 13] = [
        id,
        tenant,
        &name,
        &kind,
        &currency,
        may_overdraw,
        &state,
        posted,
        held,
        incoming,
        version,
        created_at,
        updated_at,
    ];
    tx.execute_exactly(1, INSERT, &params).await
}

/// Returns an account of the tenant.
pub(crate) async fn find(pool: &Pool, tenant: &str, id: Uuid) -> Result<Option<Account>, Error> {
    let row = pg::query_opt(pool, "find_account", FIND, &[&id, &tenant]).await?;
    row.as_ref().map(account).transpose()
}

/// Locks an account of the tenant until the end of the transaction.
pub(crate) async fn lock(tx: &Tx<'_>, tenant: &str, id: Uuid) -> Result<Option<Account>, Error> {
    let row = tx.query_opt(LOCK, &[&id, &tenant]).await?;
    row.as_ref().map(account).transpose()
}

/// Locks those of these accounts that the tenant has.
pub(crate) async fn lock_of_tenant(tx: &Tx<'_>, tenant: &str, ids: &[Uuid]) -> Result<Books, Error> {
    books(&tx.query(LOCK_OF_TENANT, &[&ids, &tenant]).await?)
}

/// Locks these accounts, which must exist, of every tenant.
pub(crate) async fn lock_all(tx: &Tx<'_>, ids: &[Uuid]) -> Result<Books, Error> {
    let rows = tx.query(LOCK_ALL, &[&ids]).await?;
    let (expected, touched) = (ids.len() as u64, rows.len() as u64);
    if touched != expected {
        return Err(Error::UnexpectedRowCount { statement: LOCK_ALL, expected, touched });
    }
    books(&rows)
}

fn books(rows: &[Row]) -> Result<Books, Error> {
    let accounts = rows.iter().map(account).collect::<Result<Vec<_>, _>>()?;
    Ok(Books::new(accounts))
}

/// Stores the balances that have changed. This transaction has locked the accounts.
pub(crate) async fn update_balances(tx: &Tx<'_>, books: &Books) -> Result<(), Error> {
    let (mut ids, mut posted, mut held, mut incoming, mut versions) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut times: Vec<DateTime<Utc>> = Vec::new();
    for account in books.changed() {
        ids.push(account.id);
        posted.push(account.posted);
        held.push(account.held);
        incoming.push(account.incoming);
        versions.push(account.version);
        times.push(account.updated_at);
    }
    let count = ids.len() as u64;
    tx.execute_exactly(count, UPDATE_BALANCES, &[&ids, &posted, &held, &incoming, &versions, &times]).await
}

/// Stores the state. This transaction has locked the account.
pub(crate) async fn update_state(tx: &Tx<'_>, account: &Account) -> Result<(), Error> {
    let Account { id, version, updated_at, .. } = account;
    tx.execute_exactly(1, UPDATE_STATE, &[id, &account.state.as_str(), version, updated_at]).await
}

/// Returns whether a transfer from the account or to it is pending.
///
/// A statement of its own behind the lock: a statement that waits for a lock does not see what other transactions have inserted meanwhile.
pub(crate) async fn has_pending(tx: &Tx<'_>, id: Uuid) -> Result<bool, Error> {
    tx.query_one(HAS_PENDING, &[&id]).await?.column("has_pending")
}

pub(super) fn account(row: &Row) -> Result<Account, Error> {
    let name: Option<String> = row.column("name")?;
    Ok(Account {
        id: row.column("id")?,
        tenant: row.column("tenant")?,
        facts: NewAccount {
            name: name.map(AccountName::from_stored),
            kind: super::known(row, "kind")?,
            currency: super::currency(row)?,
            may_overdraw: row.column("may_overdraw")?,
        },
        state: super::known(row, "state")?,
        posted: row.column("posted")?,
        held: row.column("held")?,
        incoming: row.column("incoming")?,
        version: row.column("version")?,
        created_at: row.column("created_at")?,
        updated_at: row.column("updated_at")?,
    })
}
