//! `muster mailbox-keeper`: the process that `muster up` runs beside the mail server.

use loadtest::mailbox::Mailbox;

use crate::mailbox_keeper::{Bounds, keep};

/// The addresses of the mail server, and its limits.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    /// The HTTP API.
    #[arg(long)]
    api_url: String,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    keep(&args.imap, &Mailbox::new(&args.api_url)?, args.bounds).await;
    Ok(())
}
