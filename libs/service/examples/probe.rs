//! A service small enough to read at once. The tests of this crate start it, ask it, and end it.

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
    #[command(flatten)]
    telemetry: telemetry::Config,
    /// What goes wrong.
    #[arg(long, env = "PROBE_TROUBLE", value_enum, default_value_t)]
    trouble: Trouble,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum Trouble {
    #[default]
    None,
    /// `build` fails.
    Build,
    /// `build` never returns.
    BuildHangs,
    /// The worker fails when `/fail` is asked for.
    WorkerFails,
    /// The worker panics then.
    WorkerPanics,
    /// The worker returns then.
    WorkerReturns,
    /// The worker does not stop when told to.
    WorkerHangs,
}

impl HasConfig for Config {
    fn service(&self) -> &service::Config {
        &self.service
    }

    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }
}

fn main() -> ExitCode {
    service::main(ServiceInfo { name: "probe", version: env!("CARGO_PKG_VERSION") }, build)
}

#[expect(clippy::disallowed_methods, reason = "a program for tests, whose routes nobody documents")]
async fn build(config: Config, runtime: &mut Runtime) -> anyhow::Result<()> {
    match config.trouble {
        Trouble::Build => bail!("the probe was asked to fail"),
        Trouble::BuildHangs => std::future::pending().await,
        _ => {}
    }
    runtime.readiness().add("always", || async { Ok(()) }.boxed());
    runtime.on_stop("first", async {});
    runtime.on_stop("second", async {});

    let fail = Arc::new(Notify::new());
    let failing = Arc::clone(&fail);
    runtime.spawn_worker("ticker", |stop| async move {
        tokio::select! {
            () = stop.cancelled(), if config.trouble != Trouble::WorkerHangs => Ok(()),
            () = failing.notified() => end_by_itself(config.trouble),
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

fn end_by_itself(trouble: Trouble) -> anyhow::Result<()> {
    assert!(trouble != Trouble::WorkerPanics, "the worker was asked to panic");
    if trouble == Trouble::WorkerFails {
        bail!("the worker was asked to fail");
    }
    Ok(())
}

async fn slow(ms: web::Path<u64>) -> HttpResponse {
    tokio::time::sleep(Duration::from_millis(*ms)).await;
    HttpResponse::Ok().body("done")
}
