//! The worker that decides instructions when they are due.

use tokio_util::sync::CancellationToken;

use crate::book::Book;

/// Decides until it is stopped. A journal that cannot be written ends the bank.
pub(crate) async fn run(book: &Book, stop: CancellationToken) -> anyhow::Result<()> {
    while stop.run_until_cancelled(book.decision_is_due()).await.is_some() {
        book.decide().await?;
    }
    Ok(())
}
