#![doc = include_str!("../README.md")]

mod cache;
mod metrics;
mod store;

pub use cache::{Cache, Invalidation, Settings};
pub use store::{Error, Key};
