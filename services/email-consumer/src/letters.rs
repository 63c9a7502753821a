//! Events of dead letters, for people: decoded, with personal data masked.

use consumer::letters::{Inspect, InspectError, Inspected, Letters};
use events::{
    DecodeError, Decoder, Event, masked,
    orders::{OrderConfirmed, OrderPlaced, OrderRejected, SHOWN_FIELDS},
};

/// The dead letters of this service.
pub(crate) type DeadLetters = Letters<OrderEvents>;

/// Reads order events.
pub(crate) struct OrderEvents(pub(crate) Decoder);

impl Inspect for OrderEvents {
    async fn inspect(&self, event_type: &str, payload: &[u8]) -> Result<Inspected, InspectError> {
        if event_type == OrderConfirmed::event_type().name {
            self.read(payload, |event: &OrderConfirmed| &event.order.tenant).await
        } else if event_type == OrderRejected::event_type().name {
            self.read(payload, |event: &OrderRejected| &event.order.tenant).await
        } else if event_type == OrderPlaced::event_type().name {
            self.read(payload, |event: &OrderPlaced| &event.order.tenant).await
        } else {
            Err(InspectError::Undecodable("the event has an unknown type".to_owned()))
        }
    }
}

impl OrderEvents {
    async fn read<E: Event>(
        &self,
        payload: &[u8],
        tenant: impl Fn(&E) -> &String,
    ) -> Result<Inspected, InspectError> {
        let event: E = self.0.decode(payload).await.map_err(|error| not_decoded(&error))?;
        let value = serde_json::to_value(&event);
        let value = value.map_err(|error| InspectError::Undecodable(error.to_string()))?;
        Ok(Inspected { tenant: tenant(&event).clone(), shown: masked(&value, SHOWN_FIELDS) })
    }
}

fn not_decoded(error: &DecodeError) -> InspectError {
    let reason = error.to_string();
    if error.is_transient() { InspectError::Unavailable(reason) } else { InspectError::Undecodable(reason) }
}
