#![doc = include_str!("../README.md")]

mod database;
mod fault_proxy;
mod kafka;
mod keys;
mod mailbox;
mod parts;
mod private_kafka;
mod process;
mod topics;
mod traces;
mod wait;

pub use database::Database;
pub use fault_proxy::FaultProxy;
pub use kafka::{Kafka, Record};
pub use keys::Keys;
pub use mailbox::{Mail, Mailbox};
pub use parts::{client, endpoints, scratch_dir};
pub use private_kafka::PrivateKafka;
pub use process::{Builder, Process};
pub use topics::Topics;
pub use traces::{Span, Zipkin};
pub use wait::wait_for;
