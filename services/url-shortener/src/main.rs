//! The URL shortener. See its README.

mod app;
mod config;
mod domain;
mod metrics;
mod routes;
mod state;
mod store;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo { name: "url-shortener", version: env!("CARGO_PKG_VERSION") };
    service::main_with_schemas(info, store::SCHEMAS, app::build)
}
