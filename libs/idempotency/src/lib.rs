#![doc = include_str!("../README.md")]

pub mod dedup;
pub mod http;
mod metrics;
mod purge;

pub use purge::Table;
