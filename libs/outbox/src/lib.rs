#![doc = include_str!("../README.md")]

mod append;
mod backlog;
mod in_flight;
mod lease;
mod maintenance;
mod metrics;
mod partition;
mod publisher;
mod queue;
mod relay;
mod rows;
mod sender;
mod session;
mod term;
mod topics;

pub use append::{AppendError, Entry, append, append_all};
pub use backlog::Backlog;
pub use relay::Relay;

use pg::Migration;

/// The schema of this library, under the name `outbox`.
pub const MIGRATIONS: &[Migration] = &[
    ("V1__create_outbox", include_str!("../migrations/V1__create_outbox.sql")),
    ("V2__add_parked_and_lease", include_str!("../migrations/V2__add_parked_and_lease.sql")),
    ("V3__add_tracestate_and_baggage", include_str!("../migrations/V3__add_tracestate_and_baggage.sql")),
    ("V4__partition_by_day", include_str!("../migrations/V4__partition_by_day.sql")),
    ("V5__measure_the_backlog", include_str!("../migrations/V5__measure_the_backlog.sql")),
];
