//! What the README promises, each on a real broker and a real database.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod child;
mod days;
mod frozen;
mod killed;
mod late;
mod partitions;
mod refused;
mod refusing_proxy;
mod relays;
mod restore;
mod stalled;
mod starting_broker;
mod waiting;
mod woken;
mod world;
