//! `NAME migrate`: migrates the database as a job, which a cluster runs before a new version.

use std::process::ExitCode;

use clap::Parser;
use pg::{Migrations, Schema};
use telemetry::ServiceInfo;

use crate::{Ending, block_on, run, wrong_settings};

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
    let Config { tls, telemetry, mut database } = match Config::try_parse_from(std::env::args_os().skip(1)) {
        Ok(config) => config,
        Err(error) => return wrong_settings(&error),
    };
    // The service can have `await`, which would wait for this process.
    database.database_migrations = Migrations::Apply;
    block_on(run(info, &tls, &telemetry, async |trust| {
        let pool = pg::connect(&database, &trust, info.name)?;
        pg::migrate(&pool, schemas).await?;
        tracing::info!(version = info.version, "the schema is up to date");
        Ok(Ending::Clean)
    }))
}
