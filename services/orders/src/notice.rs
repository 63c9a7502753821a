//! What the order service tells others: its events, made from its orders.

use chrono::{DateTime, Utc};
use events::orders::{OrderConfirmed, OrderLine, OrderPlaced, OrderRejected};

use crate::{
    config::Tracking,
    domain::{Confirmed, Details, Line, Order, Pending, Rejected},
};

/// Makes events. Clones are equal.
#[derive(Clone)]
pub(crate) struct Notices {
    tracking: Tracking,
}

impl Notices {
    pub(crate) fn new(tracking: Tracking) -> Self {
        Self { tracking }
    }

    pub(crate) fn placed(order: &Order<Pending>) -> OrderPlaced {
        let Details { id, tenant, customer_email, lines, total, placed_at } = order.details.clone();
        OrderPlaced {
            order_id: id,
            tenant,
            customer_email: customer_email.as_str().to_owned(),
            lines: lines.iter().map(event_line).collect(),
            total_minor: total.minor(),
            currency: total.currency().code().to_owned(),
            placed_at,
        }
    }

    pub(crate) fn confirmed(&self, order: &Order<Confirmed>) -> OrderConfirmed {
        let Details { id, tenant, customer_email, lines, total, placed_at } = order.details.clone();
        OrderConfirmed {
            order_id: id,
            tenant,
            customer_email: customer_email.as_str().to_owned(),
            lines: lines.iter().map(event_line).collect(),
            total_minor: total.minor(),
            currency: total.currency().code().to_owned(),
            tracking_url: self.tracking_url(id, placed_at),
            confirmed_at: order.state.at,
        }
    }

    pub(crate) fn rejected(&self, order: &Order<Rejected>) -> OrderRejected {
        let Details { id, tenant, customer_email, lines, total, placed_at } = order.details.clone();
        OrderRejected {
            order_id: id,
            tenant,
            customer_email: customer_email.as_str().to_owned(),
            lines: lines.iter().map(event_line).collect(),
            total_minor: total.minor(),
            currency: total.currency().code().to_owned(),
            reason: order.state.reason.clone(),
            tracking_url: self.tracking_url(id, placed_at),
            rejected_at: order.state.at,
        }
    }

    /// The same for an order every time, so that whoever links to it can do so idempotently.
    fn tracking_url(&self, order_id: uuid::Uuid, placed_at: DateTime<Utc>) -> String {
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
