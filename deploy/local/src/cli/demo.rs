//! `muster demo`: uses the product as a client does, and checks each step. Shows one order, or places many and reconciles.

mod load;
mod product;
mod render;
mod walkthrough;

use std::{num::NonZeroU32, path::PathBuf};

use anyhow::{Context, bail, ensure};
use product::Product;

use super::read_local;
use crate::console::print;

/// Arguments of `muster demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Place this many orders and reconcile, instead of showing one.
    #[arg(long)]
    orders: Option<NonZeroU32>,
    /// Orders per second, in an open loop; default: 16 clients, each as fast as it gets answers.
    #[arg(long, requires = "orders", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Fail when a request failed, even if a retry succeeded.
    #[arg(long, requires = "orders")]
    uninterrupted: bool,
    /// A TOML file that describes a product elsewhere, such as in a cluster; default: the local stack.
    #[arg(long, value_name = "FILE")]
    pub(super) at: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let product = match &args.at {
        Some(file) => Product::read(file)?,
        None => local_product()?,
    };
    if let Some(n_orders) = args.orders {
        return load::load(&product, n_orders.get(), args.rate, args.uninterrupted).await;
    }
    walkthrough::walkthrough(&product).await?;
    if args.at.is_none() {
        print("  the parts       target/debug/muster status");
        print("  more orders     target/debug/muster demo --orders 200");
        print("\nThe stack keeps running; `make down` stops it.");
    }
    Ok(())
}

fn local_product() -> anyhow::Result<Product> {
    let (stack, record) = read_local()?.context("the stack is not running: `make up` first")?;
    if let Some(part) = stack.parts.iter().find(|part| record.alive(part.name).is_none()) {
        bail!("{} is not running: `make up` starts it", part.name);
    }
    Product::local(&stack.config)
}

fn parse_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse().context("expected a number")?;
    ensure!((0.1..=10_000.0).contains(&rate), "expected a rate from 0.1 to 10000");
    Ok(rate)
}

/// Returns an address that never received a mail.
fn new_address(name: &str) -> String {
    format!("{name}-{:08x}@example.com", rand::random::<u32>())
}
