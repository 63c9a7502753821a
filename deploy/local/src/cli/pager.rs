//! `muster pager`: shows what a phone would have shown, and on request what it shows next.

use crate::checkout::Checkout;
use crate::pager;
use crate::parts::monitoring::pages_file;

/// What to show.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on showing what comes, with the terminal's bell for a page.
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let checkout = Checkout::find()?;
    pager::show(&pages_file(&checkout.state_dir()), checkout.root(), args.follow).await
}
