//! All SQL of this service, and nothing else.

pub(crate) mod catalogue;
pub(crate) mod orders;
pub(crate) mod process;
pub(crate) mod stock;

use pg::{Migration, Schema};

const MIGRATIONS: &[Migration] = &[
    ("V1__create_catalogue", include_str!("../migrations/V1__create_catalogue.sql")),
    ("V2__create_orders", include_str!("../migrations/V2__create_orders.sql")),
    ("V3__create_order_process", include_str!("../migrations/V3__create_order_process.sql")),
];

/// Every schema in the service's database.
pub(crate) const SCHEMAS: &[Schema] =
    &[("orders", MIGRATIONS), ("idempotency", idempotency::http::MIGRATIONS), ("outbox", outbox::MIGRATIONS)];
