//! The order service. See the README beside it.

mod app;
mod catalogue;
mod config;
mod domain;
mod journey;
mod metrics;
mod notice;
mod process;
mod routes;
mod store;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo { name: "orders", version: env!("CARGO_PKG_VERSION") };
    service::main_with_schemas(info, store::SCHEMAS, app::build)
}
