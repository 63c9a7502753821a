//! What the README promises, each on a real broker.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod circuit;
mod due;
mod keys;
mod lost;
mod pause;
mod retries;
mod world;
