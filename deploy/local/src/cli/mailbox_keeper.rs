//! `muster mailbox-keeper`: the process that `muster up` runs beside the mail server.

use crate::mailbox_keeper::{Bounds, keep};

/// Where the mail server is, and how many mails it may have.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    /// Its API.
    #[arg(long)]
    api_url: String,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    keep(&args.imap, &args.api_url, args.bounds).await;
    Ok(())
}
