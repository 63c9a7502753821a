//! `ledger check`: compares balances, holds and states with postings and transfers.

use pg::Pool;

use crate::store::{self, check::Break};

pub(crate) const COMMAND: &str = "check";

pub(crate) const ABOUT: &str = "Recomputes every balance and hold of the ledger from postings and transfers, logs each break, and exits with 1 if there is one. \
     Changes nothing, and can run beside the service.";

/// Logs every break; returns whether there is none.
pub(crate) async fn run(pool: Pool) -> anyhow::Result<bool> {
    let breaks = store::check::find_breaks(&pool).await?;
    for Break { kind, id, expected, found } in &breaks {
        tracing::error!(kind, %id, expected, found, "the ledger has a break");
    }
    tracing::info!(breaks = breaks.len(), "the ledger is checked");
    Ok(breaks.is_empty())
}
