//! The order service. See its README.

mod app;
mod back_pressure;
mod catalogue;
mod config;
mod domain;
mod lateness;
mod metrics;
mod order_events;
mod process;
mod routes;
mod state;
mod store;
mod win_back;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo { name: "orders", version: env!("CARGO_PKG_VERSION") };
    service::main_with_schemas(info, store::SCHEMAS, app::build)
}
