//! The relay's buckets: renewed, acquired up to its share, and given back above it.

use std::time::{Duration, Instant};

use super::{RelayError, Term};
use crate::lease::RENEW;

/// Shortest interval between two writes of the positions.
const WRITE: Duration = Duration::from_millis(150);

/// Shortest interval between two attempts to acquire buckets.
const CLAIM: Duration = Duration::from_millis(200);

/// Time limit for the rows in flight of a bucket that is given back.
const HAND_OVER: Duration = Duration::from_secs(1);

impl Term<'_> {
    /// Renews the leases and writes the positions when due, acquires free buckets, and gives back those above this relay's share.
    pub(super) async fn keep_leases(&mut self) -> Result<(), RelayError> {
        let now = Instant::now();
        if self.renew_at <= now {
            (self.renew_at, self.write_at) = (now + RENEW, now + WRITE);
            self.renew().await?;
            self.balance().await?;
            self.refresh_parked().await?;
        } else if self.write_at <= now && self.queue.has_moved() {
            self.write_at = now + WRITE;
            self.renew().await?;
        }
        self.release_leaving().await
    }

    /// Another relay has news: rows, or buckets that it has given back.
    pub(super) fn claim_soon(&mut self) {
        if self.queue.n_buckets() < self.share {
            self.renew_at = self.renew_at.min(self.session.renewed + CLAIM);
        }
    }

    async fn renew(&mut self) -> Result<(), RelayError> {
        let progress = self.queue.progress();
        if self.session.renew(&progress).await?.len() < progress.len() {
            return Err(RelayError::LeaseLost);
        }
        if self.queue.written(&progress) {
            fail_point::hit("outbox.marked");
        }
        Ok(())
    }

    async fn balance(&mut self) -> Result<(), RelayError> {
        self.share = self.session.join().await?;
        let n_held = self.queue.n_buckets();
        let surplus = n_held.saturating_sub(self.share);
        if surplus != self.queue.leaving().len() {
            self.queue.set_surplus(surplus);
            self.leaving_since = Instant::now();
        }
        if n_held < self.share {
            let acquired = self.session.claim(self.share - n_held).await?;
            if !acquired.is_empty() {
                let n_buckets = n_held + acquired.len();
                tracing::info!(acquired = acquired.len(), n_buckets, "outbox relay has acquired buckets");
            }
            for held in acquired {
                self.queue.hold(held);
            }
        }
        Ok(())
    }

    async fn release_leaving(&mut self) -> Result<(), RelayError> {
        let leaving = self.queue.leaving();
        let is_waiting =
            self.leaving_since.elapsed() < HAND_OVER && self.sender.in_flight.has_row_of(leaving);
        if leaving.is_empty() || is_waiting {
            return Ok(());
        }
        let leaving = leaving.clone();
        let mut progress = self.queue.progress();
        progress.retain(|progress| leaving.contains(&progress.held.bucket));
        self.session.release(&progress).await?;
        for bucket in &leaving {
            self.queue.release(*bucket);
        }
        tracing::info!(
            released = leaving.len(),
            n_buckets = self.queue.n_buckets(),
            "outbox relay has given buckets back"
        );
        Ok(())
    }
}
