//! Tests of the bank over HTTP. Each test starts its own process with its own journal.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod bank;
mod instructions;
mod misbehaviour;
mod receiver;
mod restart;
mod settings;
mod webhooks;
