//! Orders as JSON, in version 1 and in version 2, whose amounts contain their currency.

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
#[expect(dead_code, reason = "describes the texts of `StateName`")]
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
struct ChangeBody {
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

/// An order (version 2). Times are RFC 3339 in UTC.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderV2)]
pub(crate) struct OrderBodyV2 {
    #[schema(format = Uuid)]
    id: String,
    #[schema(value_type = OrderState)]
    state: &'static str,
    /// Reason of the rejection, as a text for the customer; `null` unless the order is `rejected`.
    rejection_reason: Option<String>,
    customer_email: String,
    lines: Vec<LineBodyV2>,
    total: MoneyBody,
    #[schema(format = DateTime)]
    placed_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// All states of the order, oldest first.
    history: Vec<ChangeBody>,
}

/// A line of an order (version 2), with name and price at the time of placing.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderLineV2)]
struct LineBodyV2 {
    sku: String,
    name: String,
    quantity: i32,
    unit_price: MoneyBody,
    total: MoneyBody,
}

/// An amount of money.
#[derive(Serialize, ToSchema)]
#[schema(as = Money)]
struct MoneyBody {
    /// Amount in the minor unit of the currency (ISO 4217): 1998 EUR is 19.98 euros, 1998 JPY is 1,998 yen.
    #[schema(example = 1998)]
    amount: i64,
    /// ISO 4217 code of the currency.
    #[schema(value_type = String, example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: Currency,
}

impl From<&Snapshot> for OrderBodyV2 {
    fn from(order: &Snapshot) -> Self {
        let details = &order.details;
        Self {
            id: details.id.to_string(),
            state: order.state.as_str(),
            rejection_reason: order.rejection_reason.clone(),
            customer_email: details.customer_email.as_str().to_owned(),
            lines: details.lines.iter().map(LineBodyV2::from).collect(),
            total: details.total.into(),
            placed_at: rfc3339(details.placed_at),
            updated_at: rfc3339(order.updated_at),
            history: order.history.iter().map(ChangeBody::from).collect(),
        }
    }
}

impl From<&Line> for LineBodyV2 {
    fn from(line: &Line) -> Self {
        Self {
            sku: line.sku.as_str().to_owned(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            total: line_total(line).into(),
        }
    }
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self { amount: money.minor(), currency: money.currency() }
    }
}

/// Returns the price of all pieces of a line of a placed order.
pub(super) fn line_total(line: &Line) -> Money {
    line.total().expect("the checked total of the order includes this line")
}

/// Always with microseconds, so that equal times are equal texts.
fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
