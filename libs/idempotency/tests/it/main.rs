//! Deduplication of events, on a real database.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod dedup;
