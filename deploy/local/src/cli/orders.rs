//! `muster orders`: what a person may have to do to orders that wait.

use anyhow::Context;

use super::read_local;
use crate::console::print;
use crate::orders::OrdersDatabase;

/// What to do.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Have every order that sleeps after a failure tried again at once, and show how many wait.
    Wake(WakeArgs),
}

/// Which orders.
#[derive(Debug, clap::Args)]
struct WakeArgs {
    /// The database of the order service; that of the local stack if left out.
    #[arg(long, env = "ORDERS_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let Command::Wake(WakeArgs { database_url }) = args.command;
    let database = match database_url {
        Some(url) => OrdersDatabase::at(&url)?,
        None => OrdersDatabase::local(&read_local()?.context("nothing was ever started here")?.0.config)?,
    };
    print(database.wake().await?);
    Ok(())
}
