#![doc = include_str!("../README.md")]

mod compare;
mod decimal;
mod default;
mod finding;
mod gate;
mod parse;
mod releases;
mod schema;

pub use finding::{Finding, Reader, Rule, Side};
pub use gate::{Version, check};
pub use releases::{Broken, EventSchemas, Releases};
