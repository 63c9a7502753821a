#![doc = include_str!("../README.md")]

mod authority;
mod committed;
mod database;
mod kafka;
mod mailbox;
mod matrix;
mod parts;
mod process;
mod tokens;

pub use authority::{Authority, CertificateFiles, ServerCertificate, TlsProxy};
pub use committed::{assert_committed, assert_previous_release_runs, statements};
pub use database::{Database, pool_at};
pub use fault_proxy::FaultProxy;
pub use kafka::{Kafka, PrivateKafka, Record, Topics};
pub use loadtest::{mailbox::Mail, traces::Span};
pub use mailbox::{Mailbox, Zipkin};
pub use matrix::Matrix;
pub use parts::{client, endpoints, scratch_dir, wait_for};
pub use process::{Builder, Process};
pub use tokens::Keys;
