//! `schemas check` and `schemas release`: the gate for the event schemas of this repository.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use schema_gate::{EventSchemas, Reader, Releases, check};
use strum::IntoEnumIterator as _;

/// Checks event schemas against every released version, and adds versions at a release.
#[derive(Parser)]
struct Cli {
    /// Directory with `schemas/` and `released/`.
    #[arg(long, default_value = "libs/events")]
    directory: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show why the working schemas cannot ship; fails if there is a reason.
    Check,
    /// Add the working schemas that changed to the released ones.
    Release,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let releases = Releases::of(cli.directory);
    let n_events = require_shippable(&releases.read()?)?;
    let said = match cli.command {
        Command::Check => format!("{n_events} event schemas may ship."),
        Command::Release => released(&releases.release()?),
    };
    writeln!(io::stdout(), "{said}")?;
    Ok(())
}

fn released(added: &[String]) -> String {
    if added.is_empty() {
        return "No event schema has changed since the last release.".to_owned();
    }
    format!("Added to released/: {}. Commit them with the release.", added.join(", "))
}

/// Prints every finding; fails if there is one.
fn require_shippable(events: &[EventSchemas]) -> anyhow::Result<usize> {
    let readers: Vec<Reader> = Reader::iter().collect();
    let mut n_findings = 0;
    for event in events {
        let working = event.working.as_ref().with_context(|| {
            format!(
                "schemas/{}.avsc is missing: the event has shipped, so consumers need its schema",
                event.name
            )
        })?;
        for finding in check(&event.released, working, &readers) {
            n_findings += 1;
            writeln!(io::stdout(), "{}: {finding}\n", event.name)?;
        }
    }
    ensure!(
        n_findings == 0,
        "{n_findings} reasons not to ship: see docs/schema-evolution.md for each change in steps"
    );
    Ok(events.len())
}
