#![doc = include_str!("../README.md")]

mod cache;
mod error;
mod metrics;
mod store;

pub use cache::{Cache, Invalidation, Settings};
pub use error::Error;
pub use store::Key;
