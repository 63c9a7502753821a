//! The URL shortener. See the README beside it.

mod app;
mod config;
mod domain;
mod metrics;
mod routes;
mod store;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    service::main(ServiceInfo { name: "url-shortener", version: env!("CARGO_PKG_VERSION") }, app::build)
}
