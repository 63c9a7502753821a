//! What an order is and may become. Knows neither HTTP nor SQL nor Kafka.

mod email_address;
mod order;
mod order_filter;
mod snapshot;
mod stock;
mod tracking;

pub(crate) use email_address::EmailAddress;
pub(crate) use order::{
    Confirmed, Details, Line, MAX_LINES, MAX_QUANTITY, MIN_QUANTITY, Order, Pending, PlaceError, Rejected,
    Sku,
};
pub(crate) use order_filter::{OrderFilter, Summary};
pub(crate) use snapshot::{Change, Snapshot, StateName};
pub(crate) use stock::{Product, Stock, Verdict};
pub(crate) use tracking::{TrackingError, TrackingKey};
