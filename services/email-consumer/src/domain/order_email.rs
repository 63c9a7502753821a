//! The e-mail about an order: its data, its subject, and its text and HTML parts. The templates escape product names and reasons.

use askama::Template;
use auth::Tenant;
use money::{Money, UnknownCurrency};
use uuid::Uuid;

use super::Rendered;

/// The data of an e-mail. It contains an address and a secret link, so it has no `Debug`.
pub(crate) struct OrderEmail {
    pub(crate) order_id: Uuid,
    pub(crate) tenant: Tenant,
    /// Mail address of the customer, as entered.
    pub(crate) recipient: String,
    pub(crate) outcome: Outcome,
    pub(crate) lines: Vec<Line>,
    pub(crate) total: Money,
    pub(crate) tracking_url: String,
}

pub(crate) enum Outcome {
    Confirmed,
    /// The reason is a text for the customer.
    Rejected {
        reason: String,
    },
}

pub(crate) struct Line {
    name: String,
    quantity: i32,
    unit_price: Money,
    total: Money,
}

/// The event contains values for which no e-mail can be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidOrder {
    #[error("the event's tenant is malformed")]
    Tenant(#[from] auth::InvalidTenant),
    #[error("the event's currency is not an ISO 4217 code")]
    Currency(#[from] UnknownCurrency),
    #[error("the price of a line is out of range")]
    Amount,
}

impl Outcome {
    /// The name of the outcome in the database, in metrics and in the `Message-ID`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected { .. } => "rejected",
        }
    }
}

impl Line {
    /// Makes a line, with its name on one line, and computes its total.
    pub(crate) fn new(name: String, quantity: i32, unit_price: Money) -> Result<Self, InvalidOrder> {
        let total = unit_price.checked_mul(quantity.into()).ok_or(InvalidOrder::Amount)?;
        Ok(Self { name: on_one_line(&name), quantity, unit_price, total })
    }
}

impl OrderEmail {
    /// Returns the `Message-ID`. It is the same for every attempt, so a mailbox can recognize a duplicate.
    pub(crate) fn message_id(&self, domain: &str) -> String {
        format!("<order-{}-{}@{domain}>", self.order_id, self.outcome.kind())
    }

    /// Renders the e-mail. `link` is the short URL of the order's page, `domain` the domain of the sender.
    pub(crate) fn render(&self, link: &str, domain: &str) -> Result<Rendered, askama::Error> {
        let (verdict, lead, reason) = match &self.outcome {
            Outcome::Confirmed => {
                ("is confirmed", "Thank you for your order. Everything in it is reserved for you.", None)
            }
            Outcome::Rejected { reason } => (
                "cannot be fulfilled",
                "We are sorry. Your order was not accepted, and nothing will be sent.",
                Some(on_one_line(reason)),
            ),
        };
        let content = Content {
            email: self,
            title: format!("Your order {verdict}"),
            lead,
            reason,
            number: short_number(self.order_id),
            link,
        };
        Ok(Rendered {
            message_id: self.message_id(domain),
            subject: format!("Your order {} {verdict}", content.number),
            text: Text { content: &content }.render()?,
            html: Html { content: &content }.render()?,
            unsubscribe: None,
        })
    }
}

struct Content<'a> {
    email: &'a OrderEmail,
    title: String,
    lead: &'static str,
    reason: Option<String>,
    number: String,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "order.html")]
struct Html<'a> {
    content: &'a Content<'a>,
}

#[derive(Template)]
#[template(path = "order.txt")]
struct Text<'a> {
    content: &'a Content<'a>,
}

/// Returns the end of the order's id, which is random. The start of the id is a time, the same for orders of the same minute.
fn short_number(order_id: Uuid) -> String {
    let [.., a, b, c, d] = order_id.into_bytes();
    hex::encode_upper([a, b, c, d])
}

/// Replaces line breaks and control characters, so that data cannot add lines to the text part.
fn on_one_line(text: &str) -> String {
    let visible = text.replace(char::is_control, " ");
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
