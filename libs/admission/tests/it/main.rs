//! Admission as clients meet it: a bound server, real HTTP, raw connections where the body matters.
#![expect(clippy::unwrap_used, reason = "test harness")]

mod fixture;
mod quota;
mod slots;
