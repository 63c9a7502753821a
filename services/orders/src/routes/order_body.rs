//! An order as JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::domain::{Change, Line, Snapshot, Summary};

/// The representation of an order. Times are RFC 3339 in UTC, amounts in the currency's minor unit.
#[derive(Serialize)]
pub(crate) struct OrderBody {
    id: String,
    state: &'static str,
    rejection_reason: Option<String>,
    customer_email: String,
    lines: Vec<LineBody>,
    total_minor: i64,
    currency: String,
    placed_at: String,
    updated_at: String,
    history: Vec<ChangeBody>,
}

/// An order in a list, in the same words.
#[derive(Serialize)]
pub(crate) struct SummaryBody {
    id: String,
    state: &'static str,
    rejection_reason: Option<String>,
    customer_email: String,
    total_minor: i64,
    currency: String,
    placed_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct LineBody {
    sku: String,
    name: String,
    quantity: i32,
    unit_price_minor: i64,
    total_minor: i64,
}

#[derive(Serialize)]
struct ChangeBody {
    state: &'static str,
    at: String,
    reason: Option<String>,
}

impl From<&Snapshot> for OrderBody {
    fn from(order: &Snapshot) -> Self {
        let details = &order.details;
        Self {
            id: details.id.to_string(),
            state: order.state.as_str(),
            rejection_reason: order.rejection_reason.clone(),
            customer_email: details.customer_email.as_str().to_owned(),
            lines: details.lines.iter().map(LineBody::from).collect(),
            total_minor: details.total_minor,
            currency: details.currency.clone(),
            placed_at: rfc3339(details.placed_at),
            updated_at: rfc3339(order.updated_at),
            history: order.history.iter().map(ChangeBody::from).collect(),
        }
    }
}

impl From<&Summary> for SummaryBody {
    fn from(order: &Summary) -> Self {
        Self {
            id: order.id.to_string(),
            state: order.state.as_str(),
            rejection_reason: order.rejection_reason.clone(),
            customer_email: order.customer_email.as_str().to_owned(),
            total_minor: order.total_minor,
            currency: order.currency.clone(),
            placed_at: rfc3339(order.placed_at),
            updated_at: rfc3339(order.updated_at),
        }
    }
}

impl From<&Line> for LineBody {
    fn from(line: &Line) -> Self {
        Self {
            sku: line.sku.as_str().to_owned(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price_minor: line.unit_price_minor,
            total_minor: line.total_minor().expect("the order's total, which was checked, includes it"),
        }
    }
}

impl From<&Change> for ChangeBody {
    fn from(change: &Change) -> Self {
        Self { state: change.state.as_str(), at: rfc3339(change.at), reason: change.reason.clone() }
    }
}

/// Microseconds always, so that equal times are equal texts.
fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
