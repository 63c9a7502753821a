//! `muster bench`: starts a stack of its own, measures, prints the figures, stops it.

use std::path::PathBuf;

use anyhow::ensure;

use super::run::TemporaryStack;
use crate::bench::{Figure, bench};
use crate::signals::Interrupts;
use crate::stack::Stack;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A directory with the programs of an earlier commit, whose email-consumer is measured beside ours.
    #[arg(long, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// Measure only these; everything if left out.
    #[arg(long, value_enum)]
    only: Vec<Figure>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let earlier = args.baseline.map(|directory| directory.join("email-consumer"));
    if let Some(program) = &earlier {
        ensure!(program.is_file(), "{}: there is no such program", program.display());
    }
    let mut interrupts = Interrupts::listen()?;
    let temporary = TemporaryStack::start("bench", Stack::for_bench, &mut interrupts).await?;
    let outcome = tokio::select! {
        outcome = bench(&temporary.stack, &args.only, earlier.as_deref()) => outcome,
        _ = interrupts.next() => Err(anyhow::anyhow!("interrupted")),
    };
    temporary.stop().await?;
    outcome
}
