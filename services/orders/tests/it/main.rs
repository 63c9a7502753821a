//! Tests of the order service over HTTP. Each test starts its own process on real parts.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod app;
mod auth;
mod back_pressure;
mod changed_schema;
mod crashes;
mod create;
mod dependencies;
mod edge;
mod idempotency;
mod invalid;
mod journey;
mod list_cost;
mod list_cursors;
mod list_walks;
mod listing;
mod lists;
mod matrix;
mod messages;
mod money;
mod outcomes;
mod overload;
mod previous_release;
mod process;
mod python_consumer;
mod replicas;
mod shop;
mod shutdown;
mod tracking;
mod unknown_commit;
mod unsubscribe;
mod versions;
mod win_back;
