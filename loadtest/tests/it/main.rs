//! The generator against servers that misbehave, and a whole run against the services.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod faults;
mod generator;
mod mailbox;
mod run;
mod scenarios;
mod server;
