//! Tests of email-consumer on real parts: they publish events and read mails.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "test harness")]

mod configuration;
mod crashes;
mod dead_letters;
mod faults;
mod group;
mod https;
mod leases;
mod letter_crashes;
mod letter_faults;
mod letters;
mod listener;
mod mails;
mod operator;
mod orders;
mod previous_release;
mod promotions;
mod relay;
mod retention;
mod shedding;
mod smtp;
mod smtp_stub;
mod smtp_tls;
mod world;
