//! The generator with servers that stall, the reconciler, and whole runs with the services.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod faults;
mod generator;
mod mailbox;
mod run;
mod scenarios;
mod server;
