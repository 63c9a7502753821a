//! Appends events to the outbox in the transaction of the state change.

use chrono::{DateTime, Utc};
use events::{EncodeError, Encoder, Event};
use pg::{Tx, TxError};
use telemetry::trace::Propagation;
use thiserror::Error;
use uuid::Uuid;

const INSERT: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Why an event was not appended. The transaction must not commit.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The event cannot be encoded, or its schema is not registered yet.
    #[error("the event cannot be encoded")]
    Encode(#[from] EncodeError),
    /// The database failed.
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

const INSERT_ALL: &str = "\
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at)
SELECT event_id, $2, key, event_type, payload, traceparent, tracestate, baggage, occurred_at
FROM unnest($1::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
    AS entry (event_id, key, event_type, payload, traceparent, tracestate, baggage, occurred_at)";

/// An encoded event with a new event id, and the current trace and baggage.
pub struct Entry {
    event_id: Uuid,
    key: String,
    event_type: &'static str,
    payload: Vec<u8>,
    propagation: Propagation,
    occurred_at: DateTime<Utc>,
}

impl Entry {
    /// Encodes an event of the aggregate `key`.
    pub fn new<E: Event>(
        encoder: &Encoder,
        key: Uuid,
        occurred_at: DateTime<Utc>,
        event: &E,
    ) -> Result<Self, EncodeError> {
        Ok(Self {
            event_id: Uuid::now_v7(),
            key: key.to_string(),
            event_type: E::event_type().name,
            payload: encoder.encode(event)?,
            propagation: Propagation::current(),
            occurred_at,
        })
    }
}

/// Appends one event of the aggregate `key`.
///
/// The transaction must hold the row lock of the aggregate, or have inserted it: that orders its events.
pub async fn append<E: Event>(
    tx: &Tx<'_>,
    encoder: &Encoder,
    key: Uuid,
    occurred_at: DateTime<Utc>,
    event: &E,
) -> Result<(), AppendError> {
    let Entry { event_id, key, event_type, payload, propagation, occurred_at } =
        Entry::new(encoder, key, occurred_at, event)?;
    let Propagation { traceparent, tracestate, baggage } = propagation;
    let topic = encoder.topic();
    let params: [&(dyn pg::types::ToSql + Sync); 9] =
        [&event_id, &topic, &key, &event_type, &payload, &traceparent, &tracestate, &baggage, &occurred_at];
    Ok(tx.execute_exactly(1, INSERT, &params).await?)
}

/// Appends events of several aggregates with one statement, one event of each: the statement has no order.
///
/// The transaction must hold the row lock of each aggregate.
pub async fn append_all(tx: &Tx<'_>, encoder: &Encoder, entries: &[Entry]) -> Result<(), pg::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.event_id).collect();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let types: Vec<&str> = entries.iter().map(|entry| entry.event_type).collect();
    let payloads: Vec<&[u8]> = entries.iter().map(|entry| entry.payload.as_slice()).collect();
    let causes = || entries.iter().map(|entry| &entry.propagation);
    let parents: Vec<Option<&str>> = causes().map(|cause| cause.traceparent.as_deref()).collect();
    let states: Vec<Option<&str>> = causes().map(|cause| cause.tracestate.as_deref()).collect();
    let baggage: Vec<Option<&str>> = causes().map(|cause| cause.baggage.as_deref()).collect();
    let times: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.occurred_at).collect();
    let params: [&(dyn pg::types::ToSql + Sync); 9] =
        [&ids, &encoder.topic(), &keys, &types, &payloads, &parents, &states, &baggage, &times];
    tx.execute_exactly(entries.len() as u64, INSERT_ALL, &params).await
}
