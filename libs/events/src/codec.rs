//! Confluent wire format: a zero byte, the schema id as four bytes big-endian, the Avro datum.

mod decoder;
mod encoder;
mod lookups;

pub use decoder::{DecodeError, Decoder};
pub use encoder::{EncodeError, Encoder};

const MAGIC: u8 = 0;
const PREFIX_LEN: usize = 5;
