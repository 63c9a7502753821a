//! `muster dead-letters`: shows what consumers gave up on, and does with it what a person decided.

use anyhow::Context;

use super::read_local;
use crate::console::print;
use crate::dead_letters::DeadLetters;
use crate::ports::authority;

/// Which letters, and what to do with them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Send all of them where they came from, and delete the letters.
    #[arg(long, conflicts_with = "discard")]
    replay: bool,
    /// Delete all of them.
    #[arg(long)]
    discard: bool,
    /// The dead-letter topic.
    #[arg(long, default_value = "orders.events.email-consumer.dlq")]
    topic: String,
    /// The cluster; that of the local stack if left out.
    #[arg(long)]
    bootstrap_servers: Option<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let servers = match args.bootstrap_servers {
        Some(servers) => servers,
        None => authority(read_local()?.context("nothing was ever started here")?.0.config.ports.kafka()),
    };
    let topic = DeadLetters::new(servers, args.topic);
    let letters = topic.read().await?;
    for letter in &letters {
        print(letter);
    }
    let n_letters = letters.len();
    match (letters.is_empty(), args.replay, args.discard) {
        (true, ..) => print("There are no dead letters."),
        (false, true, _) => {
            topic.replay(&letters).await?;
            print(format_args!("{n_letters} replayed"));
        }
        (false, _, true) => {
            topic.delete(&letters).await?;
            print(format_args!("{n_letters} discarded"));
        }
        (false, false, false) => {
            print(format_args!("{n_letters} dead letters; --replay or --discard ends them"));
        }
    }
    Ok(())
}
