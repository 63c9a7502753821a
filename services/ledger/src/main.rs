//! The ledger. See its README.

mod app;
mod backlog;
mod bank;
mod check;
mod config;
mod domain;
mod metrics;
mod routes;
mod settlement;
mod state;
mod store;
mod transfer_events;

use std::process::ExitCode;

use telemetry::ServiceInfo;

fn main() -> ExitCode {
    let info = ServiceInfo { name: "ledger", version: env!("CARGO_PKG_VERSION") };
    if service::is_called(check::COMMAND) {
        return service::job(info, check::ABOUT, store::SCHEMAS, check::run);
    }
    service::main_with_schemas(info, store::SCHEMAS, app::build)
}
