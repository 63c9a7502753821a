//! The sandbox of a bank's settlement network. See its README.

mod app;
mod body;
mod book;
mod config;
mod domain;
mod journal;
mod metrics;
mod routes;
mod settlement;
mod state;
mod webhooks;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    service::main(ServiceInfo { name: "bank", version: env!("CARGO_PKG_VERSION") }, app::build)
}
