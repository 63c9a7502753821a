//! Orders, their states and their rules. Independent of HTTP, SQL and Kafka.

mod email_address;
mod order;
mod stock;
mod tracking;
mod view;
mod win_back;

pub(crate) use email_address::EmailAddress;
pub(crate) use order::{
    Details, Final, Line, MAX_LINES, MAX_QUANTITY, MIN_QUANTITY, Order, Outcome, Pending, PlaceError, Sku,
};
pub(crate) use stock::{Product, Reservation, Stock};
pub(crate) use tracking::{TrackingError, TrackingKey};
pub(crate) use view::{Change, OrderFilter, Snapshot, StateName, Summary};
pub(crate) use win_back::{Lapse, LapsedCustomer, MIN_PURCHASES};
