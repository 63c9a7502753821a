#![doc = include_str!("../README.md")]

mod codec;
mod event;
mod kafka;
mod mask;
mod metrics;
pub mod orders;
pub mod payments;
pub mod promotions;
mod registry;
mod retry;

pub use codec::{DecodeError, Decoder, EncodeError, Encoder};
pub use event::{Envelope, Event, EventType, MalformedEnvelope, header};
pub use kafka::{Kafka, KafkaConfig, KafkaConfigError, SecurityProtocol};
pub use mask::{MASK, masked};
pub use registry::{Config, Registry, RegistryError};
pub use telemetry::trace::Propagation;
