//! The writing side: an event becomes a row of the current transaction.

use chrono::{DateTime, Utc};
use events::{EncodeError, Encoder, Event};
use pg::{Tx, TxError};
use thiserror::Error;
use uuid::Uuid;

const INSERT: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Why an event was not written down. The transaction must not commit then.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The event cannot be encoded (yet).
    #[error("the event cannot be encoded")]
    Encode(#[from] EncodeError),
    /// The database refused or failed.
    #[error("the event cannot be stored")]
    Database(#[from] pg::Error),
}

impl TxError for AppendError {
    fn database(&self) -> Option<&pg::Error> {
        match self {
            Self::Encode(_) => None,
            Self::Database(error) => Some(error),
        }
    }
}

/// Writes an event of the aggregate `key` into the outbox, with an identity of its own and the current trace context.
///
/// The transaction must hold the row lock of the aggregate (or have inserted it): that is what orders its events.
pub async fn append<E: Event>(
    tx: &Tx<'_>,
    encoder: &Encoder,
    key: Uuid,
    occurred_at: DateTime<Utc>,
    event: &E,
) -> Result<(), AppendError> {
    let payload = encoder.encode(event)?;
    tx.execute_exactly(
        1,
        INSERT,
        &[
            &Uuid::now_v7(),
            &encoder.topic(),
            &key.to_string(),
            &E::event_type().name,
            &payload,
            &telemetry::trace::current_traceparent(),
            &occurred_at,
        ],
    )
    .await?;
    Ok(())
}
