//! What the README promises, each on a real broker and a real database.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod child;
mod frozen;
mod killed;
mod partitions;
mod refused;
mod relays;
mod stalled;
mod world;
