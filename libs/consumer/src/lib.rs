#![doc = include_str!("../README.md")]

mod assignment;
mod attempt;
mod budget;
mod circuit;
mod client;
mod consumer;
mod dead_letter;
mod event;
mod headers;
mod lateness;
pub mod letters;
mod lines;
mod lost;
mod metrics;
mod order;
mod partition;
mod postponed;
mod producer;
mod retry;
mod source;

pub use attempt::{Handler, Outcome};
pub use client::{MAX_POLL_INTERVAL, SESSION_TIMEOUT, Settings};
pub use consumer::{Consumer, Error, LEAVE_TIMEOUT};
pub use event::Message;
pub use postponed::MIGRATIONS;
pub use retry::Retry;
