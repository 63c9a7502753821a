//! Maps orders to the events of `orders.events`.

use chrono::{DateTime, Utc};
use events::{
    EncodeError, Encoder,
    orders::{OrderConfirmed, OrderData, OrderLine, OrderPlaced, OrderRejected},
};
use uuid::Uuid;

use crate::{
    config::Tracking,
    domain::{Details, Final, Line, Order, Outcome, Pending},
};

pub(crate) fn placed(order: &Order<Pending>) -> OrderPlaced {
    OrderPlaced { order: data(&order.details), placed_at: order.details.placed_at }
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
        let Final { at, ref outcome } = order.state;
        let tracking_url = self.tracking_url(id, placed_at);
        let order = data(&order.details);
        match outcome {
            Outcome::Confirmed => {
                let event = OrderConfirmed { order, tracking_url, confirmed_at: at };
                outbox::Entry::new(&self.encoder, id, at, &event)
            }
            Outcome::Rejected { reason } => {
                let event = OrderRejected { order, reason: reason.clone(), tracking_url, rejected_at: at };
                outbox::Entry::new(&self.encoder, id, at, &event)
            }
        }
    }

    /// The URL of an order is always the same, so a consumer can create a link to it idempotently.
    fn tracking_url(&self, order_id: Uuid, placed_at: DateTime<Utc>) -> String {
        let token = self.tracking.key.token(order_id, placed_at + self.tracking.lifetime);
        format!("{}/track/{token}", self.tracking.public_url)
    }
}

fn data(order: &Details) -> OrderData {
    let line = |line: &Line| OrderLine {
        sku: line.sku.as_str().to_owned(),
        name: line.name.clone(),
        quantity: line.quantity,
        unit_price_minor: line.unit_price.minor(),
    };
    OrderData {
        order_id: order.id,
        tenant: order.tenant.clone(),
        customer_email: order.customer_email.as_str().to_owned(),
        lines: order.lines.iter().map(line).collect(),
        total_minor: order.total.minor(),
        currency: order.total.currency().code().to_owned(),
    }
}
