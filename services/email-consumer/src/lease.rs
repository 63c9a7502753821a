//! The lease of a mail: the exclusive right to send it until a time, renewed during the exchange.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use pg::Pool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store;

/// Pause after a failed renewal. The database may be back before the lease ends.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A lease on the side of its holder. It starts when the claim is sent, so it ends here before it ends in the database.
pub(crate) struct Lease {
    event_id: Uuid,
    /// The fencing token.
    pub(crate) fence: i64,
    length: Duration,
    ends: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    pub(crate) fn new(event_id: Uuid, fence: i64, length: Duration, claimed_at: Instant) -> Self {
        let ends = Mutex::new(claimed_at + length);
        Self { event_id, fence, length, ends, lost: CancellationToken::new() }
    }

    /// Returns whether the lease is valid. A process that was paused for longer than its lease notices that here.
    pub(crate) fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < *self.ends.lock()
    }

    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Renews the lease until it is lost. Never returns.
    pub(crate) async fn keep_renewed(&self, pool: &Pool) -> Infallible {
        let mut pause = self.length / 3;
        loop {
            tokio::time::sleep(pause).await;
            let renewed_at = Instant::now();
            if !self.is_held() {
                break;
            }
            match store::renew(pool, self.event_id, self.fence, self.length).await {
                Ok(true) => {
                    *self.ends.lock() = renewed_at + self.length;
                    pause = self.length / 3;
                }
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(
                        event_id = %self.event_id,
                        error = &error as &dyn std::error::Error,
                        "the lease of a mail cannot be renewed, trying again"
                    );
                    pause = RETRY_PAUSE;
                }
            }
        }
        tracing::warn!(event_id = %self.event_id, "the lease of a mail was lost during its exchange");
        self.lost.cancel();
        std::future::pending().await
    }
}
