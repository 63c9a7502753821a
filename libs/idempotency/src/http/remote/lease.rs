//! The sign of life of an attempt.

use std::{error::Error, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{Attempt, store};

/// Renewals in the time of one lease.
const RENEWALS: u32 = 3;

/// Renews the lease until it is lost: taken over, or not renewed for as long as it lasts. From then on another attempt may
/// be at work, so this one has to stop.
pub(super) async fn keep(attempt: &Attempt) {
    let mut renewed = Instant::now();
    let mut pause = attempt.lease / RENEWALS;
    loop {
        sleep(pause).await;
        let asked = Instant::now();
        // A renewal counts from when it was asked for, which is before the server's clock says so.
        match timeout_at(renewed + attempt.lease, renew(attempt)).await {
            Ok(Ok(true)) => {
                renewed = asked;
                pause = attempt.lease / RENEWALS;
            }
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "a lease was not renewed");
                pause = (attempt.lease / RENEWALS / 4).max(Duration::from_millis(1));
            }
        }
    }
}

async fn renew(attempt: &Attempt) -> Result<bool, pg::Error> {
    pg::run_tx(&attempt.pool, "idempotency_renew", attempt, |tx, attempt| {
        Box::pin(store::lease(tx, &attempt.claim, attempt.lease))
    })
    .await
}
