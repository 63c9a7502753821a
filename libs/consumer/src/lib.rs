#![doc = include_str!("../README.md")]

mod assignment;
mod budget;
mod context;
mod dead_letter;
mod due;
mod handler;
mod lanes;
mod message;
mod metrics;
mod offsets;
mod partition;
mod runtime;
mod settings;
mod settle;

pub use handler::{Handler, Outcome};
pub use message::Message;
pub use runtime::{Consumer, Error, LEAVE_TIMEOUT};
pub use settings::{MAX_POLL_INTERVAL, SESSION_TIMEOUT, Settings};
