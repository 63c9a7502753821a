//! `NAME migrate`: migrates the database as a job, which a cluster runs before a new version.

use std::process::ExitCode;

use clap::Parser;
use pg::{Migrations, Schema};
use telemetry::ServiceInfo;
use tls::Trust;

use crate::{Ending, block_on, log_failed_start, shutdown::FLUSH_TIMEOUT, wrong_settings};

const COMMAND: &str = "migrate";

/// Migrates the schema of the service and exits. Waits for a database that is down.
#[derive(Debug, Parser)]
struct Config {
    #[command(flatten)]
    tls: tls::Config,
    #[command(flatten)]
    telemetry: telemetry::Config,
    #[command(flatten)]
    database: pg::Config,
}

/// Returns whether this process was started as `NAME migrate`.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == COMMAND)
}

/// Reads the settings of the database only, so the job needs no other secret of the service.
pub(crate) fn main(info: ServiceInfo, schemas: &'static [Schema]) -> ExitCode {
    match Config::try_parse_from(std::env::args_os().skip(1)) {
        Ok(config) => block_on(run(info, config, schemas)),
        Err(error) => wrong_settings(&error),
    }
}

async fn run(info: ServiceInfo, config: Config, schemas: &[Schema]) -> anyhow::Result<ExitCode> {
    let trust = Trust::load(&config.tls)?;
    let telemetry = telemetry::init(info, &config.telemetry, &trust)?;
    let ending = match migrate(info, config.database, &trust, schemas).await {
        Ok(()) => {
            tracing::info!(version = info.version, "the schema is up to date");
            Ending::Clean
        }
        Err(error) => {
            log_failed_start(&error.into());
            Ending::Failed
        }
    };
    telemetry.shutdown(FLUSH_TIMEOUT).await;
    Ok(ending.exit_code())
}

async fn migrate(
    info: ServiceInfo,
    mut database: pg::Config,
    trust: &Trust,
    schemas: &[Schema],
) -> Result<(), pg::Error> {
    // The service can have `await`, which would wait for this process.
    database.database_migrations = Migrations::Apply;
    let pool = pg::connect(&database, trust, info.name)?;
    pg::migrate(&pool, schemas).await
}
