//! The edge as a client meets it: a bound server, real HTTP.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod body;
mod envelope;
mod failure;
mod fixture;
mod log;
mod query;
