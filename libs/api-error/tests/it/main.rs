//! The edge as a client meets it: a bound server, real HTTP.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod body;
mod bounds;
mod budget;
mod envelope;
mod failure;
mod fixture;
mod json_bounds;
mod log;
mod metrics;
mod query;
