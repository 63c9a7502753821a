#![doc = include_str!("../README.md")]

mod config;
mod explain;
mod server;
mod trust;

pub use config::{Config, is_loopback};
pub use explain::{Failure, explain};
pub use server::{Changes, ServerCertificate};
pub use trust::Trust;
