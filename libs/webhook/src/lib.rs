#![doc = include_str!("../README.md")]

mod keys;
mod signature;

pub use keys::{InvalidKeys, Keys};
pub use signature::{Headers, ID, Refused, SIGNATURE, TIMESTAMP};
