#![doc = include_str!("../README.md")]

mod certificates;
mod checkout;
pub mod cli;
mod cluster;
mod config;
mod console;
mod dead_letters;
mod drill;
mod endpoints;
mod json_lines;
pub mod kafka;
mod mailbox_keeper;
mod orders;
mod otlp;
mod pager;
mod parts;
mod place;
mod ports;
mod process;
mod profile;
mod readiness;
mod releases;
mod rewind;
mod secrets;
mod signals;
mod stack;
mod state;
mod target;
mod torture;
mod traffic;

pub use certificates::{Authority, Issued};
pub use endpoints::{Endpoints, PostgresEndpoint};
