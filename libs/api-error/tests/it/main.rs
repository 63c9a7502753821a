//! The error boundary over real HTTP.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod body;
mod bounds;
mod deadline;
mod envelope;
mod failure;
mod fixture;
mod json_bounds;
mod log;
mod metrics;
mod query;
