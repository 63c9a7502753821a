//! The tables `orders`, `order_lines` and `order_history`.

use chrono::{DateTime, Utc};
use futures::future::{try_join, try_join3};
use money::{Currency, Money};
use pg::{Columns as _, Error, Pool, Row, Tx};
use uuid::Uuid;

use crate::domain::{Change, Details, EmailAddress, Final, Line, Order, Pending, Sku, Snapshot, StateName};

const INSERT_ORDER: &str = "\
INSERT INTO orders
    (id, tenant, customer_email, state, total_minor, currency, version, placed_at, updated_at)
VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $7)";

const INSERT_LINES: &str = "\
INSERT INTO order_lines (order_id, line_no, sku, name, quantity, unit_price_minor)
SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::int[], $6::bigint[])";

const INSERT_CHANGE: &str =
    "INSERT INTO order_history (order_id, version, state, reason, at) VALUES ($1, $2, $3, $4, $5)";

const UPDATE_STATES: &str = "\
UPDATE orders SET state = final.state, rejection_reason = final.reason, version = final.version, updated_at = final.at
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[]) AS final (id, version, state, reason, at)
WHERE orders.id = final.id AND orders.version = final.version - 1";

const INSERT_CHANGES: &str = "\
INSERT INTO order_history (order_id, version, state, reason, at)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[])";

/// One statement, and so one snapshot: lines and history belong to the version that is read.
const FIND: &str = "\
SELECT id, tenant, customer_email, state, rejection_reason, total_minor, currency, version, placed_at, updated_at,
    skus, names, quantities, prices, states, reasons, times
FROM orders
CROSS JOIN LATERAL (
    SELECT array_agg(sku ORDER BY line_no) AS skus, array_agg(name ORDER BY line_no) AS names,
        array_agg(quantity ORDER BY line_no) AS quantities, array_agg(unit_price_minor ORDER BY line_no) AS prices
    FROM order_lines WHERE order_id = orders.id) AS lines
CROSS JOIN LATERAL (
    SELECT array_agg(h.state ORDER BY h.version) AS states, array_agg(h.reason ORDER BY h.version) AS reasons,
        array_agg(h.at ORDER BY h.version) AS times
    FROM order_history AS h WHERE h.order_id = orders.id) AS history
WHERE id = $1";

pub(crate) async fn insert(tx: &Tx<'_>, order: &Order<Pending>) -> Result<(), Error> {
    let Details { id, tenant, customer_email, lines, total, placed_at } = &order.details;
    let email = customer_email.as_str();
    let numbers: Vec<i32> = (1..).take(lines.len()).collect();
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
    let quantities: Vec<i32> = lines.iter().map(|line| line.quantity).collect();
    let prices: Vec<i64> = lines.iter().map(|line| line.unit_price.minor()).collect();
    let count = lines.len() as u64;
    try_join3(
        tx.execute_exactly(
            1,
            INSERT_ORDER,
            &[id, tenant, &email, &total.minor(), &total.currency().code(), &order.version, placed_at],
        ),
        tx.execute_exactly(count, INSERT_LINES, &[id, &numbers, &skus, &names, &quantities, &prices]),
        tx.execute_exactly(1, INSERT_CHANGE, &[id, &order.version, &"pending", &None::<&str>, placed_at]),
    )
    .await
    .map(drop)
}

pub(crate) async fn update_final(tx: &Tx<'_>, orders: &[Order<Final>]) -> Result<(), Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.details.id).collect();
    let versions: Vec<i32> = orders.iter().map(|order| order.version).collect();
    let states: Vec<&str> = orders.iter().map(|order| order.state.outcome.state().as_str()).collect();
    let reasons: Vec<Option<&str>> = orders.iter().map(|order| order.state.outcome.reason()).collect();
    let times: Vec<DateTime<Utc>> = orders.iter().map(|order| order.state.at).collect();
    let count = orders.len() as u64;
    try_join(
        tx.execute_exactly(count, UPDATE_STATES, &[&ids, &versions, &states, &reasons, &times]),
        tx.execute_exactly(count, INSERT_CHANGES, &[&ids, &versions, &states, &reasons, &times]),
    )
    .await
    .map(drop)
}

pub(super) fn pending(row: &Row) -> Result<Order<Pending>, Error> {
    let currency = currency(row)?;
    let details = details(row, lines(row, currency)?, currency)?;
    Ok(Order { details, version: row.column("version")?, state: Pending })
}

/// Returns an order. `name` is the name of the transaction. The caller checks the tenant.
pub(crate) async fn find(pool: &Pool, name: &'static str, id: Uuid) -> Result<Option<Snapshot>, Error> {
    let Some(row) = pg::query_opt(pool, name, FIND, &[&id]).await? else { return Ok(None) };
    let currency = currency(&row)?;
    Ok(Some(Snapshot {
        details: details(&row, lines(&row, currency)?, currency)?,
        version: row.column("version")?,
        state: state(&row)?,
        rejection_reason: row.column("rejection_reason")?,
        updated_at: row.column("updated_at")?,
        history: history(&row)?,
    }))
}

fn lines(row: &Row, currency: Currency) -> Result<Vec<Line>, Error> {
    let (skus, names): (Vec<String>, Vec<String>) = (row.column("skus")?, row.column("names")?);
    let (quantities, prices): (Vec<i32>, Vec<i64>) = (row.column("quantities")?, row.column("prices")?);
    let columns = skus.into_iter().zip(names).zip(quantities.into_iter().zip(prices));
    let line = |((sku, name), (quantity, price))| Line {
        sku: Sku::from_stored(sku),
        name,
        quantity,
        unit_price: Money::new(price, currency),
    };
    Ok(columns.map(line).collect())
}

fn history(row: &Row) -> Result<Vec<Change>, Error> {
    let (states, reasons): (Vec<&str>, Vec<Option<String>>) = (row.column("states")?, row.column("reasons")?);
    let times: Vec<DateTime<Utc>> = row.column("times")?;
    let changes = states.into_iter().zip(reasons).zip(times);
    changes.map(|((state, reason), at)| Ok(Change { state: state_named(state)?, at, reason })).collect()
}

fn details(row: &Row, lines: Vec<Line>, currency: Currency) -> Result<Details, Error> {
    Ok(Details {
        id: row.column("id")?,
        tenant: row.column("tenant")?,
        customer_email: EmailAddress::from_stored(row.column("customer_email")?),
        lines,
        total: Money::new(row.column("total_minor")?, currency),
        placed_at: row.column("placed_at")?,
    })
}

/// Reads the column `currency`. A newer release may have stored one that this release does not know.
pub(super) fn currency(row: &Row) -> Result<Currency, Error> {
    let code: String = row.column("currency")?;
    code.parse().ok().ok_or(Error::UnknownValue { column: "currency", value: code })
}

/// Reads the column `state`. A newer release may have stored one that this release does not know.
pub(super) fn state(row: &Row) -> Result<StateName, Error> {
    state_named(row.column("state")?)
}

fn state_named(state: &str) -> Result<StateName, Error> {
    state.parse().ok().ok_or_else(|| Error::UnknownValue { column: "state", value: state.to_owned() })
}
