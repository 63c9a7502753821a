//! Which customers get a win-back mail, and until when the mail may be sent.

use chrono::{DateTime, TimeDelta, Utc};

use super::EmailAddress;

/// The time in which purchases count. It is also the period in which a customer gets one event at most: a purchase that counted for an event is
/// older than this when the next period begins, so it never counts for two.
const PURCHASES_WITHIN: TimeDelta = TimeDelta::days(30);

/// How long the customer has placed no order, of any outcome.
const NOT_SEEN_FOR: TimeDelta = TimeDelta::days(7);

/// How long the mail of an event may be sent. Nothing is emitted after an unsubscribe, so this bounds the time to the last mail after it: below an
/// hour, with time for the mail's way.
const VALID_FOR: TimeDelta = TimeDelta::minutes(45);

/// The least number of purchases.
pub(crate) const MIN_PURCHASES: i64 = 3;

/// The times that the search compares with, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lapse {
    pub(crate) now: DateTime<Utc>,
    /// Purchases at this time or later count; a last event after it excludes the customer.
    pub(crate) purchases_from: DateTime<Utc>,
    /// Purchases up to this time count; an order after it excludes the customer.
    pub(crate) last_seen_until: DateTime<Utc>,
    /// When the mail of an event of this moment may no longer be sent.
    pub(crate) expires_at: DateTime<Utc>,
}

impl Lapse {
    pub(crate) fn at(now: DateTime<Utc>) -> Self {
        Self {
            now,
            purchases_from: now - PURCHASES_WITHIN,
            last_seen_until: now - NOT_SEEN_FOR,
            expires_at: now + VALID_FOR,
        }
    }
}

/// A customer with enough purchases who was not seen lately.
#[derive(Clone, Debug)]
pub(crate) struct LapsedCustomer {
    pub(crate) email: EmailAddress,
    pub(crate) n_purchases: i32,
    pub(crate) last_purchase_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_counts_for_one_event_only() {
        let first = Lapse::at(Utc::now());
        // The earliest moment at which the customer can get another event.
        let next = Lapse::at(first.now + PURCHASES_WITHIN);
        assert!(first.last_seen_until < next.purchases_from);
    }

    #[test]
    fn an_unsubscribe_is_honoured_within_the_hour() {
        let lapse = Lapse::at(Utc::now());
        assert!(lapse.expires_at - lapse.now < TimeDelta::hours(1));
    }
}
