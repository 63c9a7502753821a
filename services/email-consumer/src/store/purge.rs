//! Retention of `mails`: deletes rows whose event cannot be delivered again.

use std::time::Duration;

use pg::{Pool, run_tx};
use tokio_util::sync::CancellationToken;

const PURGE_MAILS: &str = "\
-- purge_mails()
DELETE FROM mails WHERE event_id = ANY(ARRAY(
    SELECT event_id FROM mails
    WHERE first_attempt_at <= now() - make_interval(secs => $2) LIMIT $1 FOR UPDATE SKIP LOCKED))";

/// Deletes expired mails in batches until `stop`.
pub(crate) async fn run_retention(pool: Pool, retention: Duration, stop: CancellationToken) {
    let (pool, seconds) = (&pool, retention.as_secs_f64());
    pg::run_retention("mails", stop, |limit| async move {
        run_tx(pool, "purge_mails", &(limit, seconds), |tx, (limit, seconds)| {
            Box::pin(async move { tx.execute(PURGE_MAILS, &[limit, seconds]).await })
        })
        .await
    })
    .await;
}
