//! Operations that reach outside the database, as their clients meet them: two replicas of `examples/gift_cards.rs`, killed,
//! frozen and cut off, and a bank that counts.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod answers;
mod bank;
mod crashes;
mod dedup;
mod frozen;
mod records;
mod shop;
mod unattended;
mod unknown_commit;
