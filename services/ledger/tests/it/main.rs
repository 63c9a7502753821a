//! Tests of the ledger over HTTP. Each test starts its own process on real parts.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod accounts;
mod app;
mod bank;
mod check;
mod concurrency;
mod crashes;
mod database;
mod decisions;
mod dependencies;
mod events;
mod idempotency;
mod lists;
mod matrix;
mod messages;
mod model;
mod money;
mod notifications;
mod refusals;
mod reversals;
mod settlement;
mod states;
mod transfers;
