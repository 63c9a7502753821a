#![doc = include_str!("../README.md")]

mod config;
mod migrate;
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
pub use runtime::Runtime;

use crate::shutdown::{Cause, Ending, Signals};

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
    block_on(run(info, config, build))
}

/// [`main`] for a service with a database. Called as `NAME migrate`, it only migrates the schemas and exits.
pub fn main_with_schemas<C, B>(info: ServiceInfo, schemas: &'static [Schema], build: B) -> ExitCode
where
    C: Parser + HasConfig,
    B: AsyncFnOnce(C, &mut Runtime) -> anyhow::Result<()>,
{
    if migrate::is_requested() { migrate::main(info, schemas) } else { main(info, build) }
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

/// Fails only before the log exists.
async fn run<C, B>(info: ServiceInfo, config: C, build: B) -> anyhow::Result<ExitCode>
where
    C: HasConfig,
    B: AsyncFnOnce(C, &mut Runtime) -> anyhow::Result<()>,
{
    let trust = Trust::load(&config.service().tls)?;
    let telemetry = telemetry::init(info, config.telemetry(), &trust)?;
    let ending = match live(info, config, trust, build).await {
        Ok(ending) => ending,
        Err(error) => {
            log_failed_start(&error);
            Ending::Failed
        }
    };
    if ending != Ending::AtOnce {
        telemetry.shutdown(shutdown::FLUSH_TIMEOUT).await;
    }
    Ok(ending.exit_code())
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
    let admin = Admin::start(settings.admin_addr, readiness.clone()).with_context(|| {
        format!("cannot bind the admin port {}; set ADMIN_ADDR to a free one", settings.admin_addr)
    })?;

    tracing::info!(admin_addr = %admin.address(), version = info.version, "starting");

    let mut runtime = Runtime::new(settings, trust, readiness, connections_per_worker);
    let cause = match start(config, build, &mut runtime, &mut signals).await {
        Ok(Started::Up) => {
            runtime.announce(admin.address());
            runtime.wait(&mut signals).await
        }
        Ok(Started::Interrupted) => Cause::Signal,
        Err(error) => {
            log_failed_start(&error);
            Cause::Failure
        }
    };
    let ending = shutdown::stop(runtime, cause, &mut signals).await;
    if ending != Ending::AtOnce {
        admin.stop().await;
    }
    Ok(ending)
}

enum Started {
    Up,
    Interrupted,
}

/// Builds the service, unless a signal arrives first.
async fn start<C, B>(
    config: C,
    build: B,
    runtime: &mut Runtime,
    signals: &mut Signals,
) -> anyhow::Result<Started>
where
    B: AsyncFnOnce(C, &mut Runtime) -> anyhow::Result<()>,
{
    tokio::select! {
        built = build(config, runtime) => built.map(|()| Started::Up),
        signal = signals.next() => {
            tracing::info!(signal, "signal received during start-up, shutting down");
            Ok(Started::Interrupted)
        }
    }
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
