//! The command `muster`: see the library's documentation, or `muster --help`.

use std::process::ExitCode;

use clap::Parser as _;
use muster::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
