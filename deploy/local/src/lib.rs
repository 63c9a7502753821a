#![doc = include_str!("../README.md")]

mod checkout;
pub mod cli;
mod console;
mod demo;
mod endpoints;
pub mod kafka;
mod otlp;
mod part;
mod parts;
mod ports;
mod process;
mod readiness;
mod secrets;
mod signals;
mod site;
mod stack;
mod state;

pub use endpoints::{Endpoints, PostgresEndpoint};
