#![doc = include_str!("../README.md")]

mod config;
mod explain;
mod loopback;
mod trust;

pub use config::Config;
pub use explain::{Failure, explain};
pub use loopback::is_loopback;
pub use trust::{Error, Trust};
