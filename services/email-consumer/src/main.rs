//! Sends e-mails about orders, and promotions. See its README.

mod app;
mod config;
mod domain;
mod error;
mod handler;
mod handover;
mod lease;
mod letters;
mod links;
mod metrics;
mod promotions;
mod routes;
mod shedding;
mod smtp;
mod store;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
    service::main_with_schemas(info, store::SCHEMAS, app::build)
}
