//! The command `loadtest`: see the library's documentation, or `loadtest --help`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::{run, search};

/// A threshold or the reconciliation failed.
const FAILED: u8 = 1;

/// The run could not be made, or was asked for wrongly.
const BAD_INPUT: u8 = 2;

/// Puts a running system under load, in an open loop, and says whether it held.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario; exit 0 when it passed, 1 when it did not, 2 when it could not be run.
    Run(run::Args),
    /// Look for the highest steady rate at which a scenario holds; exit 0 when there is one, 1 when none held, 2 when it could
    /// not be looked for.
    Search(search::Args),
}

/// One thread: the generator takes one core at most, and leaves the others to what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match carry_out(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            writeln!(std::io::stderr().lock(), "loadtest: {error:#}").unwrap_or_default();
            ExitCode::from(BAD_INPUT)
        }
    }
}

async fn carry_out(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Run(args) => {
            let report = run::run(&args).await?;
            writeln!(std::io::stdout().lock(), "{report}").unwrap_or_default();
            Ok(report.passed)
        }
        Command::Search(args) => {
            let found = search::search(&args).await?;
            writeln!(std::io::stdout().lock(), "{found}").unwrap_or_default();
            Ok(found.holds.is_some())
        }
    }
}
