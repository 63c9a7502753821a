//! The command `loadtest`: see the library's documentation, or `loadtest --help`.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use loadtest::{run, search};

/// Load test with an open loop, thresholds and a reconciler.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario. Exit code 0: it passed; 1: it failed; 2: it could not run.
    Run(run::Args),
    /// Find the highest steady rate at which a scenario passes. Exit code 0: found; 1: no rate passes; 2: it could not run.
    Search(search::Args),
}

/// One thread: the generator uses at most one core, and leaves the others to the system under test.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match execute(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "loadtest: {error:#}").unwrap_or_default();
            ExitCode::from(2)
        }
    }
}

async fn execute(command: Command) -> anyhow::Result<bool> {
    let (result, passed) = match command {
        Command::Run(args) => {
            let report = run::run(&args).await?;
            (report.to_string(), report.passed)
        }
        Command::Search(args) => {
            let found = search::search(&args).await?;
            (found.to_string(), found.holds.is_some())
        }
    };
    writeln!(std::io::stdout().lock(), "{result}").unwrap_or_default();
    Ok(passed)
}
