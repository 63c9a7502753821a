#![doc = include_str!("../README.md")]

mod cache;
mod entry;
mod error;
mod metrics;
mod settings;
mod store;

pub use cache::{Cache, Invalidation};
pub use error::Error;
pub use settings::Settings;
pub use store::Key;
