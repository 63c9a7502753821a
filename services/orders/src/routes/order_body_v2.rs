//! An order as JSON, version 2: an amount never comes without its currency.

use money::{Currency, Money};
use serde::Serialize;
use utoipa::ToSchema;

use super::order_body::{ChangeBody, OrderState, line_total, rfc3339};
use crate::domain::{Line, Snapshot};

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
