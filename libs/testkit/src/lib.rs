#![doc = include_str!("../README.md")]

mod authority;
mod committed;
mod database;
mod fault_proxy;
mod forgery;
mod kafka;
mod keys;
mod mailbox;
mod matrix;
mod parts;
mod private_kafka;
mod process;
mod released;
mod wait;

pub use authority::{Authority, ServerCertificate, TlsProxy};
pub use committed::assert_committed;
pub use database::Database;
pub use fault_proxy::FaultProxy;
pub use forgery::Forgery;
pub use kafka::{Kafka, Record, Topics};
pub use keys::Keys;
pub use loadtest::{mailbox::Mail, traces::Span};
pub use mailbox::{Mailbox, Zipkin};
pub use matrix::Matrix;
pub use parts::{client, endpoints, scratch_dir};
pub use private_kafka::PrivateKafka;
pub use process::{Builder, Process};
pub use released::{assert_previous_release_runs, statements};
pub use wait::wait_for;
