//! Tests of url-shortener over HTTP. Each test starts its own process on a real database.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod cache;
mod conditions;
mod crash;
mod create;
mod database_down;
mod edge;
mod https;
mod links;
mod lists;
mod malformed_requests;
mod matrix;
mod messages;
mod migrations;
mod observability;
mod previous_release;
mod service;
mod settings;
mod shutdown;
mod slow_clients;
mod targets;
