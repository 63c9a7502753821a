//! What holds of every overlay as it is applied, and what of the services in it.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod addresses;
mod availability;
mod compose;
mod connections;
mod images;
mod isolation;
mod manifests;
mod operators;
mod policies;
mod rendered;
mod schemas;
mod secrets;
mod settings;
mod topics;
