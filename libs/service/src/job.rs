//! Jobs: a program that is called as `NAME COMMAND` works on the database of its service and exits.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use pg::{Migrations, Pool, Schema};
use telemetry::ServiceInfo;

use crate::{Ending, block_on, run, wrong_settings};

pub(crate) const MIGRATE: &str = "migrate";

/// The settings of the database only, so a job needs no other secret of the service.
#[derive(Debug, Parser)]
struct Config {
    #[command(flatten)]
    tls: tls::Config,
    #[command(flatten)]
    telemetry: telemetry::Config,
    #[command(flatten)]
    database: pg::Config,
}

impl Config {
    fn parse_job(about: &'static str) -> Result<Self, clap::Error> {
        let arguments = std::env::args_os().skip(1);
        Self::from_arg_matches(&Self::command().about(about).try_get_matches_from(arguments)?)
    }
}

/// Returns whether this process was called as `NAME command`.
pub fn is_called(command: &str) -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == command)
}

/// Migrates the schemas as a job, which a cluster runs before a new version.
pub(crate) fn migrate(info: ServiceInfo, schemas: &'static [Schema]) -> ExitCode {
    let about = "Migrates the schema of the service and exits. Waits for a database that is down.";
    // The service can have `await`, which would wait for this process.
    start(info, about, schemas, Migrations::Apply, async |_| {
        tracing::info!(version = info.version, "the schema is up to date");
        Ok(true)
    })
}

/// Runs a job and returns its exit code: 0 if `work` returns true, else 1. `about` describes the job in its `--help`.
///
/// The job changes no schema: it waits until the schemas are those of this release, and for a database that is down.
pub fn job<W>(info: ServiceInfo, about: &'static str, schemas: &'static [Schema], work: W) -> ExitCode
where
    W: AsyncFnOnce(Pool) -> anyhow::Result<bool>,
{
    start(info, about, schemas, Migrations::Await, work)
}

fn start<W>(
    info: ServiceInfo,
    about: &'static str,
    schemas: &'static [Schema],
    migrations: Migrations,
    work: W,
) -> ExitCode
where
    W: AsyncFnOnce(Pool) -> anyhow::Result<bool>,
{
    let Config { tls, telemetry, mut database } = match Config::parse_job(about) {
        Ok(config) => config,
        Err(error) => return wrong_settings(&error),
    };
    database.database_migrations = migrations;
    block_on(run(info, &tls, &telemetry, async |trust| {
        let pool = pg::connect(&database, &trust, info.name)?;
        pg::migrate(&pool, schemas).await?;
        Ok(if work(pool).await? { Ending::Clean } else { Ending::Failed })
    }))
}
