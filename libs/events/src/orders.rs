//! Events of the aggregate "order", on the topic `orders.events`.

use chrono::{DateTime, Utc, serde::ts_microseconds};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event as _, EventType, event::events};

/// One line of an order, with the price at which it was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Stock keeping unit in the tenant's catalogue.
    pub sku: String,
    /// Product name at the time of the order.
    pub name: String,
    /// Pieces, at least 1.
    pub quantity: i32,
    /// Price of one piece in the currency's minor unit.
    pub unit_price_minor: i64,
}

/// The data of an order that each of its events contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderData {
    /// The order; also the message key.
    #[serde(with = "uuid::serde::hyphenated")]
    pub order_id: Uuid,
    /// Whose order it is.
    pub tenant: String,
    /// Where the customer wants to hear about it. Personal data: never logged.
    pub customer_email: String,
    /// At least one.
    pub lines: Vec<OrderLine>,
    /// Sum over the lines in the currency's minor unit.
    pub total_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// An order was accepted and waits for its stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// What was ordered, and by whom.
    #[serde(flatten)]
    pub order: OrderData,
    /// When it was accepted.
    #[serde(with = "ts_microseconds")]
    pub placed_at: DateTime<Utc>,
}

/// The stock of an order is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    /// What was ordered, and by whom.
    #[serde(flatten)]
    pub order: OrderData,
    /// Public page of the order. A capability: never logged.
    pub tracking_url: String,
    /// When it was confirmed.
    #[serde(with = "ts_microseconds")]
    pub confirmed_at: DateTime<Utc>,
}

/// An order cannot be fulfilled. Final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// What was ordered, and by whom.
    #[serde(flatten)]
    pub order: OrderData,
    /// Why, for the customer to read.
    pub reason: String,
    /// Public page of the order. A capability: never logged.
    pub tracking_url: String,
    /// When it was rejected.
    #[serde(with = "ts_microseconds")]
    pub rejected_at: DateTime<Utc>,
}

events! {
    "orders";
    OrderPlaced = "OrderPlaced.avsc";
    OrderConfirmed = "OrderConfirmed.avsc";
    OrderRejected = "OrderRejected.avsc";
}

/// The fields that people may see, for [`masked`](crate::masked): no personal data, and no capability such as the tracking link.
pub const SHOWN_FIELDS: &[&str] = &[
    "order_id",
    "tenant",
    "lines.sku",
    "lines.quantity",
    "lines.unit_price_minor",
    "total_minor",
    "currency",
    "placed_at",
    "confirmed_at",
    "rejected_at",
];

/// Every type of event on the topic.
pub fn event_types() -> [&'static EventType; 3] {
    [OrderPlaced::event_type(), OrderConfirmed::event_type(), OrderRejected::event_type()]
}
