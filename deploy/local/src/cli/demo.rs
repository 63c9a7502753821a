//! `muster demo`: shows one order end to end, or places many and reconciles.

use std::num::NonZeroU32;

use anyhow::{Context, bail};

use super::read_local;
use crate::demo::{Scene, load, walkthrough};

/// How many orders, and how fast.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Place this many orders and reconcile, instead of showing one.
    #[arg(long)]
    orders: Option<NonZeroU32>,
    /// Place them at this many per second, whether or not answers come; as fast as 16 at a time
    /// allow if left out.
    #[arg(long, requires = "orders", value_parser = parse_rate)]
    rate: Option<f64>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let (stack, record) = read_local()?.context("the stack is not running: `make up` first")?;
    for part in &stack.parts {
        if record.alive(part.name()).is_none() {
            bail!("{} does not run: `make up` starts what is missing", part.name());
        }
    }
    let scene = Scene::set(&stack.site)?;
    match args.orders {
        Some(n_orders) => load(&scene, n_orders.get(), args.rate).await,
        None => walkthrough(&scene).await,
    }
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse().context("expected a number")?;
    if !(0.1..=10_000.0).contains(&rate) {
        bail!("expected a rate from 0.1 to 10000");
    }
    Ok(rate)
}
