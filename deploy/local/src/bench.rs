//! Figures of this product, each beside its baseline from the same run on the same PostgreSQL.
//!
//! The baseline of orders is pgbench, which sends the same statements from the same machine and does nothing else. Orders it
//! places in a database of its own, made from the service's schema, so that the service's workers have no part in what it does.
//! The baseline of mails is a bare SMTP client.

mod database;
mod http;
mod mails;
mod orders;
mod pages;
mod pgbench;
mod table;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::console::print;
use crate::demo::Scene;
use crate::stack::Stack;

use database::BenchDatabase;

/// How long each figure is measured.
const MEASURING: Duration = Duration::from_secs(20);

/// How long both sides run before, so that caches are warm and statements prepared.
const WARMING: Duration = Duration::from_secs(3);

/// Significant digits of what is measured.
const DIGITS: u8 = 3;

/// What was measured in one closed loop.
#[derive(Clone, Copy, Debug)]
struct Figures {
    per_second: f64,
    /// Not a number where only a rate was measured, as is the next.
    p50_ms: f64,
    p99_ms: f64,
}

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Figure {
    Orders,
    Pages,
    Mails,
}

/// Measures on a running stack and prints the table: everything, unless `only` names something. `earlier` is the
/// email-consumer of an earlier commit.
pub(crate) async fn bench(stack: &Stack, only: &[Figure], earlier: Option<&Path>) -> anyhow::Result<()> {
    let scene = Scene::set(&stack.config)?;
    let database = BenchDatabase::create(&stack.config).await.context("the database of the baseline")?;
    let wanted = |figure| only.is_empty() || only.contains(&figure);
    let mut rows = Vec::new();
    if wanted(Figure::Orders) {
        rows.extend(orders::measure(&scene, &database).await.context("orders")?);
    }
    // Before a million orders are in the database, whose vacuum would go on beside it.
    if wanted(Figure::Mails) {
        rows.extend(mails::measure(&stack.config, &database, earlier).await.context("mails")?);
    }
    if wanted(Figure::Pages) {
        rows.extend(pages::measure(&scene, &database).await.context("pages")?);
    }
    let build = if cfg!(debug_assertions) { "debug: not for comparison" } else { "release" };
    print(format_args!(
        "\nBuild: {build}. Each figure: {} s; mails: {} of them.\n",
        MEASURING.as_secs(),
        mails::MAILS
    ));
    print(table::render(&rows));
    Ok(())
}
