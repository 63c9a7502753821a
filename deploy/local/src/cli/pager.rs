//! `muster pager`: open pages and tickets, and what to do with them.

use clap::Subcommand;

use crate::{checkout::Checkout, pager, parts::monitoring::pages_file, place::Place};

/// Arguments of `muster pager`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Continue with new events, with the terminal's bell for a page.
    #[arg(short, long)]
    follow: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do with open alerts.
#[derive(Debug, Subcommand)]
enum Command {
    /// Acknowledge an open alert: you take care of it.
    Ack {
        /// Its name; every open alert if left out.
        alert: Option<String>,
    },
    /// Record whether an alert was actionable, for each of its firings without a review.
    Review {
        /// Its name.
        alert: String,
        /// The responder had to act.
        #[arg(long, conflicts_with = "not_actionable", required_unless_present = "not_actionable")]
        actionable: bool,
        /// The responder had nothing to do: the alert is noise.
        #[arg(long)]
        not_actionable: bool,
    },
    /// Show the load of on-call: pages per week and service, out of hours, acknowledgement, reviews, and the noisiest alerts.
    Report(pager::ReportArgs),
}

pub(super) async fn run(place: Place, args: Args) -> anyhow::Result<()> {
    let checkout = Checkout::find()?;
    let pages = pages_file(&place.state_dir(&checkout));
    match args.command {
        None => pager::show(&pages, checkout.root(), args.follow).await,
        Some(Command::Ack { alert }) => pager::acknowledge(&pages, alert.as_deref()),
        Some(Command::Review { alert, actionable, .. }) => pager::review(&pages, &alert, actionable),
        Some(Command::Report(args)) => pager::report(&pages, &args),
    }
}
