//! `muster bench`: starts a stack of its own, measures, prints the figures, stops it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;

use super::leftovers::{stop_leftovers, wipe};
use crate::bench::{Figure, bench};
use crate::checkout::Checkout;
use crate::ports::ReservedPorts;
use crate::signals::Interrupts;
use crate::stack::StackConfig;
use crate::stack::{Stack, start, stop_all};
use crate::state::{Record, State};

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
    let checkout = Checkout::find()?;
    checkout.require_setup()?;
    let home = checkout.state_dir().join("bench");
    let state = Arc::new(State::open(&home)?);
    stop_leftovers(&checkout, &home, &state, Stack::for_bench).await?;
    wipe(&home)?;

    let slot = ReservedPorts::take()?;
    let record = Record { port_base: Some(slot.ports.base()), ..Record::default() };
    state.update(|state| *state = record)?;
    let stack = Stack::for_bench(StackConfig::prepare(checkout, home, slot.ports)?);
    if let Err(error) = start(&stack, &state, &mut interrupts).await {
        stop_all(&stack, &state).await?;
        return Err(error.context("the stack of the benchmark is not up"));
    }
    let outcome = tokio::select! {
        outcome = bench(&stack, &args.only, earlier.as_deref()) => outcome,
        _ = interrupts.next() => Err(anyhow::anyhow!("interrupted")),
    };
    stop_all(&stack, &state).await?;
    outcome
}
