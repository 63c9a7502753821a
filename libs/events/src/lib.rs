#![doc = include_str!("../README.md")]

mod codec;
mod envelope;
mod event;
mod kafka;
pub mod orders;
mod registry;

pub use codec::{DecodeError, Decoder, EncodeError, Encoder};
pub use envelope::{Envelope, MalformedEnvelope, header};
pub use event::{Event, EventType};
pub use kafka::{Kafka, KafkaConfig, KafkaConfigError, SecurityProtocol};
pub use registry::{Config, Registry, RegistryError};
