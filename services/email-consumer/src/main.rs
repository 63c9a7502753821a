//! Tells customers by mail what became of their orders.
//!
//! Reads `orders.events`; for each confirmed or rejected order it puts a tracking link at url-shortener and sends one
//! mail. README.md has what it promises and the one window in which a mail can go out twice.

mod app;
mod config;
mod domain;
mod error;
mod handler;
mod handover;
mod inbound;
mod links;
mod metrics;
mod smtp;
mod store;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
    service::main_with_schemas(info, store::SCHEMAS, app::build)
}
