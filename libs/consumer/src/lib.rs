#![doc = include_str!("../README.md")]

mod assignment;
mod context;
mod dead_letter;
mod handler;
mod message;
mod metrics;
mod partition;
mod runtime;
mod settings;

pub use handler::{Handler, Outcome};
pub use message::Message;
pub use runtime::{Consumer, Error};
pub use settings::{MAX_POLL_INTERVAL, SESSION_TIMEOUT, Settings};
