//! An order as JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use money::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Change, Line, Snapshot, Summary};

/// An order (version 1). Times are RFC 3339 in UTC. Amounts are in the minor unit of the currency (ISO 4217).
#[derive(Serialize, ToSchema)]
#[schema(as = OrderV1)]
pub(crate) struct OrderBody {
    #[schema(format = Uuid)]
    id: String,
    #[schema(value_type = OrderState)]
    state: &'static str,
    /// Reason of the rejection, as a text for the customer; `null` unless the order is `rejected`.
    rejection_reason: Option<String>,
    customer_email: String,
    lines: Vec<LineBody>,
    total_minor: i64,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    #[schema(format = DateTime)]
    placed_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// All states of the order, oldest first.
    history: Vec<ChangeBody>,
}

/// An order without its lines and history (version 1).
#[derive(Serialize, ToSchema)]
#[schema(as = OrderSummaryV1)]
pub(crate) struct SummaryBody {
    #[schema(format = Uuid)]
    id: String,
    #[schema(value_type = OrderState)]
    state: &'static str,
    /// Reason of the rejection, as a text for the customer; `null` unless the order is `rejected`.
    rejection_reason: Option<String>,
    customer_email: String,
    total_minor: i64,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    #[schema(format = DateTime)]
    placed_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// State of an order. `confirmed` and `rejected` are final.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the names that the domain has as text")]
pub(super) enum OrderState {
    Pending,
    Confirmed,
    Rejected,
}

/// A line of an order (version 1), with name and price at the time of placing.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderLineV1)]
struct LineBody {
    sku: String,
    name: String,
    quantity: i32,
    unit_price_minor: i64,
    total_minor: i64,
}

/// A change of state.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderChange)]
pub(super) struct ChangeBody {
    #[schema(value_type = OrderState)]
    state: &'static str,
    #[schema(format = DateTime)]
    at: String,
    /// Reason of the change, as a text for the customer; `null` if it has none.
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
            total_minor: details.total.minor(),
            currency: details.total.currency(),
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
            total_minor: order.total.minor(),
            currency: order.total.currency(),
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
            unit_price_minor: line.unit_price.minor(),
            total_minor: line_total(line).minor(),
        }
    }
}

impl From<&Change> for ChangeBody {
    fn from(change: &Change) -> Self {
        Self { state: change.state.as_str(), at: rfc3339(change.at), reason: change.reason.clone() }
    }
}

/// The price of all pieces of a line of an order that was placed.
pub(super) fn line_total(line: &Line) -> Money {
    line.total().expect("the order's total, which was checked, includes it")
}

/// Microseconds always, so that equal times are equal texts.
pub(super) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
