//! The search for customers to win back, and the table `promotion_recipients`.

use pg::{Columns as _, Error, Pool, Row, Tx};
use uuid::Uuid;

use crate::domain::{EmailAddress, Lapse, LapsedCustomer, MIN_PURCHASES};

/// A customer for whom this transaction may append one event.
pub(crate) struct Recipient {
    /// Mail address in lower case.
    pub(crate) customer: String,
    pub(crate) id: Uuid,
    pub(crate) unsubscribe_token: Uuid,
}

/// Every tenant with orders has a catalogue.
const TENANTS: &str = "SELECT DISTINCT tenant FROM products ORDER BY tenant";

/// The range of `orders_by_purchase` has the purchases; `orders_by_customer` finds out whether the few customers with enough of them were seen
/// later, in an order of any state.
const FIND: &str = "\
SELECT customer_email, least(count(*), 2147483647)::integer AS n_purchases, max(placed_at) AS last_purchase_at
FROM orders AS purchase
WHERE tenant = $1 AND state = 'confirmed' AND placed_at >= $2 AND placed_at <= $3 AND customer_email > $4
GROUP BY customer_email
HAVING count(*) >= $5
    AND NOT EXISTS (
        SELECT FROM orders AS later
        WHERE later.tenant = $1 AND later.customer_email = purchase.customer_email AND later.placed_at > $3)
    AND NOT EXISTS (
        SELECT FROM promotion_recipients AS recipient
        WHERE recipient.tenant = $1 AND recipient.customer = lower(purchase.customer_email)
            AND (recipient.unsubscribed_at IS NOT NULL OR recipient.last_event_at > $2))
ORDER BY customer_email LIMIT $6";

/// The search may be seconds old, and another replica may have found the same customers. The row decides: the first transaction that
/// inserts or updates it has the event, and an unsubscribe waits for its end, or is seen. Sorted, so that two replicas do not deadlock.
const CLAIM: &str = "\
INSERT INTO promotion_recipients AS recipient (tenant, customer, last_event_at)
SELECT DISTINCT $1, lower(lapsed.customer_email), $2::timestamptz
FROM unnest($3::text[]) AS lapsed (customer_email)
WHERE NOT EXISTS (
    SELECT FROM orders AS later
    WHERE later.tenant = $1 AND later.customer_email = lapsed.customer_email AND later.placed_at > $4)
ORDER BY 2
ON CONFLICT (tenant, customer) DO UPDATE SET last_event_at = EXCLUDED.last_event_at
    WHERE recipient.unsubscribed_at IS NULL AND recipient.last_event_at <= $5
RETURNING customer, id, unsubscribe_token";

const IS_UNSUBSCRIBED: &str = "\
SELECT unsubscribed_at IS NOT NULL AS is_unsubscribed FROM promotion_recipients WHERE unsubscribe_token = $1";

/// Returns a row for a known token, also if nothing changed.
const UNSUBSCRIBE: &str = "\
UPDATE promotion_recipients SET unsubscribed_at = coalesce(unsubscribed_at, now()) WHERE unsubscribe_token = $1 RETURNING id";

pub(crate) async fn tenants(pool: &Pool) -> Result<Vec<String>, Error> {
    pg::run_tx(pool, "list_tenants", &(), |tx, ()| {
        Box::pin(async move {
            let rows = tx.query(TENANTS, &[]).await?;
            rows.iter().map(|row| row.column("tenant")).collect()
        })
    })
    .await
}

/// Returns up to `limit` lapsed customers of a tenant in the order of their addresses, from those after `after`.
pub(crate) async fn find_lapsed(
    tx: &Tx<'_>,
    tenant: &str,
    lapse: &Lapse,
    after: &str,
    limit: i64,
) -> Result<Vec<LapsedCustomer>, Error> {
    let Lapse { purchases_from, last_seen_until, .. } = lapse;
    let params: [&(dyn pg::types::ToSql + Sync); 6] =
        [&tenant, purchases_from, last_seen_until, &after, &MIN_PURCHASES, &limit];
    let rows = tx.query_with_custom_plan(FIND, &params).await?;
    rows.iter().map(lapsed).collect()
}

/// Starts a period for each customer who is still lapsed, has not unsubscribed, and is in no period.
pub(crate) async fn claim(
    tx: &Tx<'_>,
    tenant: &str,
    lapse: &Lapse,
    customers: &[LapsedCustomer],
) -> Result<Vec<Recipient>, Error> {
    let emails: Vec<&str> = customers.iter().map(|customer| customer.email.as_str()).collect();
    let Lapse { now, purchases_from, last_seen_until, .. } = lapse;
    let rows = tx.query(CLAIM, &[&tenant, now, &emails, last_seen_until, purchases_from]).await?;
    rows.iter().map(recipient).collect()
}

/// Returns whether the customer has unsubscribed; `None` for an unknown token.
pub(crate) async fn is_unsubscribed(pool: &Pool, token: Uuid) -> Result<Option<bool>, Error> {
    let row = pg::query_opt(pool, "find_unsubscribe", IS_UNSUBSCRIBED, &[&token]).await?;
    row.map(|row| row.column("is_unsubscribed")).transpose()
}

/// Returns whether the token is known. No transaction that commits later appends an event for this customer.
pub(crate) async fn unsubscribe(pool: &Pool, token: Uuid) -> Result<bool, Error> {
    Ok(pg::write_opt(pool, "unsubscribe", UNSUBSCRIBE, &[&token]).await?.is_some())
}

fn lapsed(row: &Row) -> Result<LapsedCustomer, Error> {
    Ok(LapsedCustomer {
        email: EmailAddress::from_stored(row.column("customer_email")?),
        n_purchases: row.column("n_purchases")?,
        last_purchase_at: row.column("last_purchase_at")?,
    })
}

fn recipient(row: &Row) -> Result<Recipient, Error> {
    Ok(Recipient {
        customer: row.column("customer")?,
        id: row.column("id")?,
        unsubscribe_token: row.column("unsubscribe_token")?,
    })
}
