//! `muster demo`: shows one order end to end, or places many and reconciles.

use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::read_local;
use crate::console::print;
use crate::demo::{Load, Scene, load, walkthrough};

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
    /// Fail when a request had to be sent again, even if all came right in the end.
    #[arg(long, requires = "orders")]
    uninterrupted: bool,
    /// Not the local stack but the product that this file describes, such as one in a cluster.
    #[arg(long, value_name = "FILE")]
    at: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let scene = match &args.at {
        Some(description) => Scene::elsewhere(description)?,
        None => local_scene()?,
    };
    if let Some(n_orders) = args.orders {
        let (rate, uninterrupted) = (args.rate, args.uninterrupted);
        return load(&scene, Load { n_orders: n_orders.get(), rate, uninterrupted }).await;
    }
    walkthrough(&scene).await?;
    if args.at.is_none() {
        print("  the parts       target/debug/muster status");
        print("  more orders     target/debug/muster demo --orders 200");
        print("\nThe stack goes on running; `make down` stops it.");
    }
    Ok(())
}

fn local_scene() -> anyhow::Result<Scene> {
    let (stack, record) = read_local()?.context("the stack is not running: `make up` first")?;
    for part in &stack.parts {
        if record.alive(part.name).is_none() {
            bail!("{} does not run: `make up` starts what is missing", part.name);
        }
    }
    Scene::set(&stack.config)
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse().context("expected a number")?;
    if !(0.1..=10_000.0).contains(&rate) {
        bail!("expected a rate from 0.1 to 10000");
    }
    Ok(rate)
}
