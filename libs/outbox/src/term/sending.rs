//! The rows that the producer gets next.

use std::time::Instant;

use super::{RelayError, Term};
use crate::{
    rows::{Key, Pending, Place},
    sender::Sender,
    session::Session,
};

/// Rows that count as in flight and are not sent yet.
pub(super) struct Chosen {
    /// The small ones, which were read before.
    whole: Vec<Pending>,
    /// Other rows of `outbox`.
    places: Vec<Place>,
    /// Rows of `outbox_parked`.
    parked: Vec<Place>,
    /// The buckets of this relay, with their fences.
    held: (Vec<i16>, Vec<i64>),
}

impl Term<'_> {
    /// Chooses among the rows that are here.
    pub(super) async fn choose(&mut self) -> Result<Chosen, RelayError> {
        self.park_followers().await?;
        self.topics.refresh(self.queue.heads(), &self.sender.publisher).await;
        let topics = &self.topics;
        let place = |key: &Key| topics.place(key);
        let seqs = self.sender.in_flight.choose(self.queue.heads(), place, Instant::now());
        let (whole, others) = self.queue.take_whole(&seqs);
        let (places, parked) = self.queue.places(&others);
        Ok(Chosen { whole, places, parked, held: self.queue.fences() })
    }
}

impl Chosen {
    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.places.len() + self.parked.len()
    }

    /// Reads the rows that are not here, and sends all.
    pub(super) async fn send(self, session: &Session, sender: &mut Sender<'_>) -> Result<(), RelayError> {
        let n_rows = self.len();
        let rows = self.read(session).await?;
        if rows.len() < n_rows {
            return Err(RelayError::RowsMissing);
        }
        let mut rows = rows.iter();
        for row in rows.by_ref() {
            // Checked after the read, in case this process was frozen during it.
            if !session.holds_leases() {
                return Err(RelayError::LeaseLost);
            }
            if !sender.send(row) {
                sender.in_flight.withdraw(row.seq);
                break;
            }
        }
        for row in rows {
            sender.in_flight.withdraw(row.seq);
        }
        Ok(())
    }

    async fn read(self, session: &Session) -> Result<Vec<Pending>, RelayError> {
        let mut rows = self.whole;
        // The other statements compare the fences, too.
        if !rows.is_empty() && !session.still_holds(self.held).await? {
            return Err(RelayError::LeaseLost);
        }
        if !self.places.is_empty() {
            rows.extend(session.rows(&self.places).await?);
        }
        if !self.parked.is_empty() {
            rows.extend(session.parked_rows(&self.parked).await?);
        }
        Ok(rows)
    }
}
