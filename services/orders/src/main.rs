//! The order service. See the README beside it.

mod app;
mod catalogue;
mod config;
mod domain;
mod metrics;
mod notice;
mod process;
mod routes;
mod store;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    service::main(ServiceInfo { name: "orders", version: env!("CARGO_PKG_VERSION") }, app::build)
}
