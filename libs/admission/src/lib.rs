#![doc = include_str!("../README.md")]

mod class;
mod config;
mod gate;
mod held;
mod metrics;
mod quota;
mod route;
mod slots;

pub use config::Config;
pub use gate::Admission;
pub use route::{Admit, AdmitService, public, read, write};
