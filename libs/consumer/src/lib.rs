#![doc = include_str!("../README.md")]

mod assignment;
mod attempt;
mod budget;
mod client;
mod consumer;
mod dead_letter;
mod lateness;
mod message;
mod metrics;
mod order;
mod partition;

pub use attempt::{Handler, Outcome};
pub use client::{MAX_POLL_INTERVAL, SESSION_TIMEOUT, Settings};
pub use consumer::{Consumer, Error, LEAVE_TIMEOUT};
pub use message::Message;
