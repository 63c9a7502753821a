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
    /// The URL of the Alertmanager that sends.
    #[arg(long)]
    alertmanager: String,
    /// How long an open alert has to be absent there before it has ended.
    #[arg(long)]
    absent_for_s: u64,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    pager::serve(pager::Settings {
        port: args.port,
        file: args.file,
        heartbeat_within: Duration::from_secs(args.heartbeat_within_s),
        alertmanager: args.alertmanager,
        absent_for: Duration::from_secs(args.absent_for_s),
    })
    .await
}
