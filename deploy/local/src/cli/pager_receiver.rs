//! `muster pager-receiver`: the process that `muster up` runs as a part of the stack.

use std::path::PathBuf;
use std::time::Duration;

use crate::pager;

/// Where to listen and what to write.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port on the loopback interface.
    #[arg(long)]
    port: u16,
    /// The file that keeps what comes.
    #[arg(long)]
    file: PathBuf,
    /// How long the heartbeat may stay away before that is a page.
    #[arg(long)]
    heartbeat_within_s: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    pager::serve(args.port, args.file, Duration::from_secs(args.heartbeat_within_s)).await
}
