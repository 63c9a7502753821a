//! An order as JSON, version 2: an amount never comes without its currency.

use serde::Serialize;
use utoipa::ToSchema;

use super::order_body::{ChangeBody, OrderState, rfc3339};
use crate::domain::{Line, Snapshot};

/// An order in version 2. Times are RFC 3339 in UTC.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderV2)]
pub(crate) struct OrderBodyV2 {
    #[schema(format = Uuid)]
    id: String,
    #[schema(value_type = OrderState)]
    state: &'static str,
    /// Why the order cannot be fulfilled, for the customer to read.
    rejection_reason: Option<String>,
    customer_email: String,
    lines: Vec<LineBodyV2>,
    total: Money,
    #[schema(format = DateTime)]
    placed_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Every state that the order was in, in order.
    history: Vec<ChangeBody>,
}

/// A line of an order in version 2, with name and price as they were when the order was placed.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderLineV2)]
struct LineBodyV2 {
    sku: String,
    name: String,
    quantity: i32,
    unit_price: Money,
    total: Money,
}

/// An amount of money.
#[derive(Serialize, ToSchema)]
struct Money {
    /// Units of the currency's smallest coin (ISO 4217 says how many there are): 1998 EUR is 19.98 euros.
    #[schema(example = 1998)]
    amount: i64,
    /// The code of ISO 4217.
    #[schema(example = "EUR", pattern = "^[A-Z]{3}$")]
    currency: String,
}

impl From<&Snapshot> for OrderBodyV2 {
    fn from(order: &Snapshot) -> Self {
        let details = &order.details;
        let currency = details.currency.as_str();
        Self {
            id: details.id.to_string(),
            state: order.state.as_str(),
            rejection_reason: order.rejection_reason.clone(),
            customer_email: details.customer_email.as_str().to_owned(),
            lines: details.lines.iter().map(|line| LineBodyV2::new(line, currency)).collect(),
            total: Money::new(details.total_minor, currency),
            placed_at: rfc3339(details.placed_at),
            updated_at: rfc3339(order.updated_at),
            history: order.history.iter().map(ChangeBody::from).collect(),
        }
    }
}

impl LineBodyV2 {
    fn new(line: &Line, currency: &str) -> Self {
        let total = line.total_minor().expect("the order's total, which was checked, includes it");
        Self {
            sku: line.sku.as_str().to_owned(),
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: Money::new(line.unit_price_minor, currency),
            total: Money::new(total, currency),
        }
    }
}

impl Money {
    fn new(amount: i64, currency: &str) -> Self {
        Self { amount, currency: currency.to_owned() }
    }
}
