#![doc = include_str!("../README.md")]

mod config;
mod job;
mod open_files;
mod runtime;
mod shutdown;
mod workers;

use std::{
    future::Future,
    io::{Write as _, stderr},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use pg::Schema;
use telemetry::{Admin, Readiness, ServiceInfo};
use tls::Trust;

pub use config::{Config, HasConfig};
pub use job::{is_called, job};
pub use runtime::Runtime;

use crate::shutdown::{Cause, Ending, FLUSH_TIMEOUT, Signals};

/// The timeout for the threads of the runtime to end after shutdown.
const THREADS_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs a service: reads the settings, calls `build`, waits for a reason to stop, shuts down. The service is up when `build` returns.
pub fn main<C, B>(info: ServiceInfo, build: B) -> ExitCode
where
    C: Parser + HasConfig,
    B: AsyncFnOnce(C, &mut Runtime) -> anyhow::Result<()>,
{
    let config = match C::try_parse() {
        Ok(config) => config,
        Err(error) => return wrong_settings(&error),
    };
    let (tls, telemetry) = (config.service().tls.clone(), config.service().telemetry.clone());
    block_on(run(info, &tls, &telemetry, async |trust| live(info, config, trust, build).await))
}

/// [`main`] for a service with a database. Called as `NAME migrate`, it only migrates the schemas and exits.
pub fn main_with_schemas<C, B>(info: ServiceInfo, schemas: &'static [Schema], build: B) -> ExitCode
where
    C: Parser + HasConfig,
    B: AsyncFnOnce(C, &mut Runtime) -> anyhow::Result<()>,
{
    if is_called(job::MIGRATE) { job::migrate(info, schemas) } else { main(info, build) }
}

/// Runs a program on its own runtime. An error is one from before the log existed.
fn block_on(program: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return failed_early(&anyhow::Error::new(error).context("cannot start the async runtime"));
        }
    };
    let code = runtime.block_on(program).unwrap_or_else(|error| failed_early(&error));
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    code
}

/// Runs a program between the start and the end of telemetry. Fails only before the log exists.
async fn run(
    info: ServiceInfo,
    tls: &tls::Config,
    telemetry: &telemetry::Config,
    program: impl AsyncFnOnce(Trust) -> anyhow::Result<Ending>,
) -> anyhow::Result<ExitCode> {
    let trust = Trust::load(tls)?;
    let telemetry = telemetry::init(info, telemetry, &trust)?;
    let ending = program(trust).await.unwrap_or_else(|error| {
        log_failed_start(&error);
        Ending::Failed
    });
    if ending != Ending::AtOnce {
        telemetry.shutdown(FLUSH_TIMEOUT).await;
    }
    Ok(if ending == Ending::Clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn live<C, B>(info: ServiceInfo, config: C, trust: Trust, build: B) -> anyhow::Result<Ending>
where
    C: HasConfig,
    B: AsyncFnOnce(C, &mut Runtime) -> anyhow::Result<()>,
{
    let settings = config.service().clone();
    settings.check()?;
    let connections_per_worker = open_files::connections_per_worker(settings.http.workers())?;
    if let Some(specification) = &settings.fail_points {
        fail_point::arm(specification).with_context(|| format!("{} is wrong", fail_point::VARIABLE))?;
    }
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let readiness = Readiness::new();
    let admin = Admin::start(settings.admin_addr, readiness.clone(), config.admin_pages());
    let admin = admin.with_context(|| {
        format!("cannot bind the admin port {}; set ADMIN_ADDR to a free one", settings.admin_addr)
    })?;

    tracing::info!(admin_addr = %admin.address(), version = info.version, "starting");

    let mut runtime = Runtime::new(settings, trust, readiness, connections_per_worker);
    let built = tokio::select! {
        built = build(config, &mut runtime) => Some(built),
        signal = signals.next() => {
            tracing::info!(signal, "signal received during start-up, shutting down");
            None
        }
    };
    let cause = match built {
        Some(Ok(())) => {
            runtime.announce(admin.address());
            runtime.wait(&mut signals).await
        }
        Some(Err(error)) => {
            log_failed_start(&error);
            Cause::Failure
        }
        None => Cause::Signal,
    };
    let ending = shutdown::stop(runtime, cause, &mut signals).await;
    if ending != Ending::AtOnce {
        admin.stop().await;
    }
    Ok(ending)
}

fn log_failed_start(error: &anyhow::Error) {
    tracing::error!(error = format!("{error:#}"), "start-up failed");
}

/// Prints an error of the settings, or the help text.
fn wrong_settings(error: &clap::Error) -> ExitCode {
    // A failure to write to standard error cannot be reported.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn failed_early(error: &anyhow::Error) -> ExitCode {
    drop(writeln!(stderr(), "start-up failed: {error:#}"));
    ExitCode::FAILURE
}
