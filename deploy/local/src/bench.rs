//! Figures of this product, each beside its baseline from the same run on the same PostgreSQL.
//!
//! The baseline is pgbench, which sends the same statements from the same machine and does nothing else. Orders it places in a
//! database of its own, made from the service's schema, so that the service's workers have no part in what it does.

mod database;
mod http;
mod orders;
mod pages;
mod pgbench;
mod table;

use std::time::Duration;

use anyhow::Context;

use crate::console::say;
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
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures everything on a running stack and prints the table.
pub(crate) async fn bench(stack: &Stack) -> anyhow::Result<()> {
    let scene = Scene::set(&stack.site)?;
    let database = BenchDatabase::create(&stack.site).await.context("the database of the baseline")?;
    let mut rows = orders::measure(&scene, &database).await.context("orders")?;
    rows.extend(pages::measure(&scene, &database).await.context("pages")?);
    let build = if cfg!(debug_assertions) { "debug: not for comparison" } else { "release" };
    say(format_args!("\nBuild: {build}. Each figure: {} s.\n", MEASURING.as_secs()));
    say(table::render(&rows));
    Ok(())
}
