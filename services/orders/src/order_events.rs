//! Maps orders to the events of `orders.events`.

use chrono::{DateTime, Utc};
use events::{
    EncodeError, Encoder,
    orders::{OrderConfirmed, OrderLine, OrderPlaced, OrderRejected},
};
use uuid::Uuid;

use crate::{
    config::Tracking,
    domain::{Details, Final, Line, Order, Outcome, Pending},
};

/// Builds an event from the details of an order and the fields that only this event has.
macro_rules! event {
    ($event:ident, $order:ident, $($field:ident: $value:expr),+) => {{
        let Details { id, tenant, customer_email, lines, total, .. } = &$order.details;
        $event {
            order_id: *id,
            tenant: tenant.clone(),
            customer_email: customer_email.as_str().to_owned(),
            lines: lines.iter().map(event_line).collect(),
            total_minor: total.minor(),
            currency: total.currency().code().to_owned(),
            $($field: $value),+
        }
    }};
}

/// Returns the event of an order that was just placed.
pub(crate) fn placed(order: &Order<Pending>) -> OrderPlaced {
    event!(OrderPlaced, order, placed_at: order.details.placed_at)
}

/// Makes the outbox entries of orders that reached a final state. Clones are equal.
#[derive(Clone)]
pub(crate) struct OrderEvents {
    pub(crate) encoder: Encoder,
    pub(crate) tracking: Tracking,
}

impl OrderEvents {
    /// Returns the outbox entry of the order's outcome. It continues the trace of the current span.
    pub(crate) fn finished(&self, order: &Order<Final>) -> Result<outbox::Entry, EncodeError> {
        let Details { id, placed_at, .. } = order.details;
        let Final { at, outcome } = &order.state;
        let tracking_url = self.tracking_url(id, placed_at);
        match outcome {
            Outcome::Confirmed => {
                let event = event!(OrderConfirmed, order, tracking_url: tracking_url, confirmed_at: *at);
                outbox::Entry::new(&self.encoder, id, *at, &event)
            }
            Outcome::Rejected { reason } => {
                let event = event!(
                    OrderRejected, order,
                    reason: reason.clone(), tracking_url: tracking_url, rejected_at: *at
                );
                outbox::Entry::new(&self.encoder, id, *at, &event)
            }
        }
    }

    /// The URL of an order is always the same, so a consumer can create a link to it idempotently.
    fn tracking_url(&self, order_id: Uuid, placed_at: DateTime<Utc>) -> String {
        let token = self.tracking.key.token(order_id, placed_at + self.tracking.lifetime);
        format!("{}/track/{token}", self.tracking.public_url)
    }
}

fn event_line(line: &Line) -> OrderLine {
    OrderLine {
        sku: line.sku.as_str().to_owned(),
        name: line.name.clone(),
        quantity: line.quantity,
        unit_price_minor: line.unit_price.minor(),
    }
}
