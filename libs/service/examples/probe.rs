//! A minimal service for the tests of this crate.

use std::{process::ExitCode, sync::Arc, time::Duration};

use actix_web::{HttpResponse, web};
use anyhow::bail;
use clap::{Parser, ValueEnum};
use futures::FutureExt as _;
use service::{HasConfig, Runtime};
use telemetry::ServiceInfo;
use tokio::sync::Notify;

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    service: service::Config,
    /// The failure to provoke.
    #[arg(long, env = "PROBE_FAILURE", value_enum, default_value_t)]
    failure: Failure,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum Failure {
    #[default]
    None,
    /// `build` fails.
    Build,
    /// `build` never returns.
    BuildHangs,
    /// The worker fails when `/fail` is requested.
    WorkerFails,
    /// The worker panics on `/fail`.
    WorkerPanics,
    /// The worker returns on `/fail`.
    WorkerReturns,
    /// The worker does not stop when cancelled.
    WorkerHangs,
}

impl HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }
}

fn main() -> ExitCode {
    service::main(ServiceInfo { name: "probe", version: env!("CARGO_PKG_VERSION") }, build)
}

#[expect(clippy::disallowed_methods, reason = "a program for tests, without a documented API")]
async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    match config.failure {
        Failure::Build => bail!("the probe fails on request"),
        Failure::BuildHangs => std::future::pending().await,
        _ => {}
    }
    runtime.readiness().add("always", || async { Ok(()) }.boxed());
    runtime.on_stop("first", async {});
    runtime.on_stop("second", async {});

    let fail = Arc::new(Notify::new());
    let failing = Arc::clone(&fail);
    runtime.spawn_worker("ticker", |stop| async move {
        tokio::select! {
            () = stop.cancelled(), if config.failure != Failure::WorkerHangs => Ok(()),
            () = failing.notified() => end_by_itself(config.failure),
        }
    });
    runtime.serve_http(move |api| {
        api.app_data(web::Data::from(Arc::clone(&fail)))
            .route("/slow/{ms}", web::get().to(slow))
            .route("/fail", web::get().to(fail_worker));
    })
}

async fn fail_worker(fail: web::Data<Notify>) -> HttpResponse {
    fail.notify_one();
    HttpResponse::NoContent().finish()
}

fn end_by_itself(failure: Failure) -> anyhow::Result<()> {
    assert!(failure != Failure::WorkerPanics, "the worker panics on request");
    if failure == Failure::WorkerFails {
        bail!("the worker fails on request");
    }
    Ok(())
}

async fn slow(ms: web::Path<u64>) -> HttpResponse {
    tokio::time::sleep(Duration::from_millis(*ms)).await;
    HttpResponse::Ok().body("done")
}
