//! All SQL of this service.

pub(crate) mod order_list;
pub(crate) mod orders;
pub(crate) mod process;
pub(crate) mod promotions;
pub(crate) mod stock;

use pg::{Migration, Schema};

const MIGRATIONS: &[Migration] = &[
    ("V1__create_catalogue", include_str!("../migrations/V1__create_catalogue.sql")),
    ("V2__create_orders", include_str!("../migrations/V2__create_orders.sql")),
    ("V3__create_order_process", include_str!("../migrations/V3__create_order_process.sql")),
    ("V4__index_orders_by_time", include_str!("../migrations/V4__index_orders_by_time.sql")),
    ("V5__index_orders_by_state", include_str!("../migrations/V5__index_orders_by_state.sql")),
    ("V6__index_orders_by_customer", include_str!("../migrations/V6__index_orders_by_customer.sql")),
    ("V7__list_currencies", include_str!("../migrations/V7__list_currencies.sql")),
    ("V8__add_tracestate_and_baggage", include_str!("../migrations/V8__add_tracestate_and_baggage.sql")),
    ("V9__create_promotion_recipients", include_str!("../migrations/V9__create_promotion_recipients.sql")),
];

/// All schemas in the database of the service.
pub(crate) const SCHEMAS: &[Schema] =
    &[("orders", MIGRATIONS), ("idempotency", idempotency::http::MIGRATIONS), ("outbox", outbox::MIGRATIONS)];
