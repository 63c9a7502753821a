//! All SQL of this service.

pub(crate) mod account_list;
pub(crate) mod accounts;
pub(crate) mod check;
pub(crate) mod postings;
pub(crate) mod settlements;
pub(crate) mod transfer_list;
pub(crate) mod transfers;

use std::str::FromStr;

use money::Currency;
use pg::{Columns as _, Error, Migration, Row, Schema};

const MIGRATIONS: &[Migration] = &[
    ("V1__create_accounts", include_str!("../migrations/V1__create_accounts.sql")),
    ("V2__create_transfers", include_str!("../migrations/V2__create_transfers.sql")),
    ("V3__create_postings", include_str!("../migrations/V3__create_postings.sql")),
    ("V4__settle_through_the_bank", include_str!("../migrations/V4__settle_through_the_bank.sql")),
];

/// All schemas in the database of the service.
pub(crate) const SCHEMAS: &[Schema] =
    &[("ledger", MIGRATIONS), ("idempotency", idempotency::http::MIGRATIONS), ("outbox", outbox::MIGRATIONS)];

fn currency(row: &Row) -> Result<Currency, Error> {
    known(row, "currency")
}

/// Reads a column with one of a fixed set of values. A newer release may have stored one that this release does not know.
fn known<T: FromStr>(row: &Row, column: &'static str) -> Result<T, Error> {
    let value: &str = row.column(column)?;
    value.parse().ok().ok_or_else(|| Error::UnknownValue { column, value: value.to_owned() })
}
