//! Rows that the broker refuses, the rows that wait for them, and those that a person has put back.

use std::{error::Error as StdError, mem};

use super::{RelayError, Term};
use crate::metrics;

/// Parked rows that are read at once.
const READY: i64 = 1_000;

impl Term<'_> {
    /// Finishes the acknowledged rows.
    pub(super) async fn finish(&mut self) -> Result<(), RelayError> {
        let parked = self.queue.published(&self.sender.take_done());
        if !parked.is_empty() {
            self.session.unpark(&parked).await?;
            self.refresh_parked().await?;
        }
        Ok(())
    }

    /// Reads which keys are parked, and which parked rows can be published.
    pub(super) async fn refresh_parked(&mut self) -> Result<(), RelayError> {
        let buckets = self.queue.buckets();
        let keys = self.session.parked_keys(&buckets).await?;
        let ready = if keys.is_empty() { Vec::new() } else { self.session.ready(&buckets, READY).await? };
        self.queue.set_parked(keys, ready);
        Ok(())
    }

    /// Parks the rows that the broker refuses even alone.
    pub(super) async fn park_refused(&mut self) -> Result<(), RelayError> {
        for (seq, error) in mem::take(&mut self.sender.refused) {
            self.sender.in_flight.withdraw(seq);
            let Some((place, is_parked)) = self.queue.refused(seq) else { continue };
            if !is_parked {
                self.session.park(&[place]).await?;
            }
            if let Some((event_id, event_type)) = self.session.refuse(place, &error.to_string()).await? {
                metrics::PARKED.inc();
                tracing::error!(
                    error = &error as &dyn StdError,
                    %event_id,
                    event_type,
                    "the broker refuses an event: it is parked, and later ones of its key wait"
                );
            }
        }
        Ok(())
    }

    /// Parks the rows that have parked rows of their key before them.
    pub(super) async fn park_followers(&mut self) -> Result<(), RelayError> {
        let followers = self.queue.take_followers();
        if !followers.is_empty() {
            self.session.park(&followers).await?;
        }
        Ok(())
    }
}
