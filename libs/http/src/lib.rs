#![doc = include_str!("../README.md")]

pub mod admission;
mod api;
mod caller;
pub mod conditional;
mod document;
mod metrics;
mod operation;
mod pages;
pub mod server;
mod version;

pub use admission::Admission;
pub use api::Api;
pub use caller::{Caller, authenticate};
pub use operation::{Operation, OperationBuilder};
pub use server::Server;
pub use version::Deprecation;

/// What the expansion of [`operation!`] needs.
#[doc(hidden)]
pub use pastey;

#[cfg(test)]
mod tests;
