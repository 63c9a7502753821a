//! The sole right to hand one mail over, for a while.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use pg::Pool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store;

/// Pause after a renewal that failed: the database may be back before the lease is over.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A lease as its holder sees it: from the moment before it was asked for, so that it ends here before it ends in the
/// database.
pub(crate) struct Lease {
    event_id: Uuid,
    fence: i64,
    length: Duration,
    ends: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    /// A lease that was asked for at `begun`.
    pub(crate) fn new(event_id: Uuid, fence: i64, length: Duration, begun: Instant) -> Self {
        Self { event_id, fence, length, ends: Mutex::new(begun + length), lost: CancellationToken::new() }
    }

    /// The number of the claim.
    pub(crate) fn fence(&self) -> i64 {
        self.fence
    }

    /// Whether nobody else can have the mail. A process that was stopped for a while finds out here.
    pub(crate) fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < *self.ends()
    }

    /// Waits until the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Renews the lease for as long as it is held.
    pub(crate) async fn keep(&self, pool: &Pool) -> Infallible {
        let mut pause = self.length / 3;
        loop {
            tokio::time::sleep(pause).await;
            let begun = Instant::now();
            if !self.is_held() {
                break;
            }
            match store::renew(pool, self.event_id, self.fence, self.length).await {
                Ok(true) => {
                    *self.ends() = begun + self.length;
                    pause = self.length / 3;
                }
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(
                        event_id = %self.event_id,
                        error = &error as &dyn std::error::Error,
                        "the lease of a mail is not renewed, trying again"
                    );
                    pause = RETRY_PAUSE;
                }
            }
        }
        tracing::warn!(event_id = %self.event_id, "the lease of a mail was lost while it was handed over");
        self.lost.cancel();
        std::future::pending().await
    }

    fn ends(&self) -> MutexGuard<'_, Instant> {
        self.ends.lock().expect("no panic under this lock")
    }
}
