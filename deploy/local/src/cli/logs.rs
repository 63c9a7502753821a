//! `muster logs`: shows what the parts wrote, through tail(1).

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::checkout::Checkout;
use crate::stack::log_file;

/// Which logs, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The part, as `muster status` names it; all of them if left out.
    part: Option<String>,
    /// Go on showing what is written.
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each log to begin with.
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: u32,
}

pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let home = Checkout::find()?.state_dir();
    let files = match args.part {
        Some(part) => vec![log_file(&home, &part)],
        None => current_logs(&home)?,
    };
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        bail!("{} is not there; `muster status` names the parts", missing.display());
    }
    let mut tail = Command::new("tail");
    tail.arg("-n").arg(args.lines.to_string());
    // By name, so that it goes on when the part starts anew with a new log.
    tail.args(args.follow.then_some("-F")).arg("--").args(files);
    Err(tail.exec()).context("tail(1) cannot be run")
}

fn current_logs(home: &std::path::Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = home.join("logs");
    let entries = std::fs::read_dir(&dir).context("nothing was ever started here")?;
    let mut logs: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("log")))
        .filter(|path| !path.to_string_lossy().ends_with(".previous.log"))
        .collect();
    logs.sort();
    Ok(logs)
}
