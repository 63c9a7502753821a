//! Events about the recipients of promotions, on the topic `orders.promotions`.

use chrono::{DateTime, Utc, serde::ts_microseconds};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event as _, EventType, event::events};

/// A customer who bought often has not placed an order for some days. Cause of a win-back mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerLapsed {
    /// The customer as a recipient of promotions; also the message key.
    #[serde(with = "uuid::serde::hyphenated")]
    pub customer_id: Uuid,
    /// Whose customer it is.
    pub tenant: String,
    /// Address of the mail, as in the newest purchase. Personal data: never logged.
    pub customer_email: String,
    /// Confirmed orders in the days that were searched, at least 1.
    pub n_purchases: i32,
    /// When the newest of them was placed.
    #[serde(with = "ts_microseconds")]
    pub last_purchase_at: DateTime<Utc>,
    /// Ends promotions to this customer: `List-Unsubscribe` of the mail, with one-click POST (RFC 8058). A capability: never logged.
    pub unsubscribe_url: String,
    /// No mail may be sent at this time or later: the customer can have unsubscribed since the event.
    #[serde(with = "ts_microseconds")]
    pub expires_at: DateTime<Utc>,
}

events! {
    "promotions";
    CustomerLapsed = "CustomerLapsed.avsc";
}

/// The fields that people may see, for [`masked`](crate::masked): no personal data, and no capability such as the unsubscribe link.
pub const SHOWN_FIELDS: &[&str] = &["customer_id", "tenant", "n_purchases", "last_purchase_at", "expires_at"];

/// Every type of event on the topic.
pub fn event_types() -> [&'static EventType; 1] {
    [CustomerLapsed::event_type()]
}
