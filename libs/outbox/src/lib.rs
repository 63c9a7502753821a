#![doc = include_str!("../README.md")]

mod append;
mod metrics;
mod publisher;
mod relay;
mod session;

pub use append::{AppendError, append};
pub use relay::{Relay, Wake};

use pg::Migration;

/// The schema of this library, under the name `outbox`.
pub const MIGRATIONS: &[Migration] =
    &[("V1__create_outbox", include_str!("../migrations/V1__create_outbox.sql"))];
