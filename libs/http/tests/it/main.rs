//! Admission control over real HTTP, with raw connections where the arrival of the body matters.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod concurrency;
mod fixture;
mod quota;
