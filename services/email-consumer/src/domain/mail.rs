//! The mail about an order: subject, text and HTML. Product names and reasons are data, in both.

use askama::Template;
use uuid::Uuid;

use super::notice::{Line, Notice, Verdict};

/// A mail without its addresses.
pub(crate) struct Mail {
    /// `Message-ID` header.
    pub(crate) message_id: String,
    /// `Subject` header.
    pub(crate) subject: String,
    /// For readers that show no HTML.
    pub(crate) text: String,
    /// For all others.
    pub(crate) html: String,
}

/// What both templates show.
struct Content {
    headline: &'static str,
    lead: &'static str,
    reason: Option<String>,
    short_number: String,
    number: String,
    rows: Vec<Row>,
    total: String,
    link: String,
}

struct Row {
    name: String,
    quantity: i32,
    unit_price: String,
    total: String,
}

#[derive(Template)]
#[template(path = "order.html")]
struct Html<'a> {
    content: &'a Content,
}

#[derive(Template)]
#[template(path = "order.txt")]
struct Text<'a> {
    content: &'a Content,
}

impl Mail {
    /// Writes the mail; `link` leads to the order's page, `domain` is the sender's.
    pub(crate) fn write(notice: &Notice, link: &str, domain: &str) -> Result<Self, askama::Error> {
        let content = Content::new(notice, link);
        let subject = match notice.verdict {
            Verdict::Confirmed => format!("Your order {} is confirmed", content.short_number),
            Verdict::Rejected { .. } => format!("Your order {} cannot be fulfilled", content.short_number),
        };
        Ok(Self {
            message_id: notice.message_id(domain),
            subject,
            text: Text { content: &content }.render()?,
            html: Html { content: &content }.render()?,
        })
    }
}

impl Content {
    fn new(notice: &Notice, link: &str) -> Self {
        let (headline, lead, reason) = match &notice.verdict {
            Verdict::Confirmed => (
                "Your order is confirmed",
                "Thank you for your order. Everything in it is reserved for you.",
                None,
            ),
            Verdict::Rejected { reason } => (
                "Your order cannot be fulfilled",
                "We are sorry. Your order was not accepted, and nothing will be sent.",
                Some(on_one_line(reason)),
            ),
        };
        Self {
            headline,
            lead,
            reason,
            short_number: short_number(notice.order_id),
            number: notice.order_id.to_string(),
            rows: notice.lines.iter().map(Row::from).collect(),
            total: notice.total.to_string(),
            link: link.to_owned(),
        }
    }
}

impl From<&Line> for Row {
    fn from(line: &Line) -> Self {
        Self {
            name: on_one_line(&line.name),
            quantity: line.quantity,
            unit_price: line.unit_price.to_string(),
            total: line.total.to_string(),
        }
    }
}

/// The end of the order's id, which is random; its beginning is the time, alike for orders of the same minute.
fn short_number(order_id: Uuid) -> String {
    let [.., a, b, c, d] = order_id.into_bytes();
    hex::encode_upper([a, b, c, d])
}

/// Keeps data from drawing lines of its own into the text.
fn on_one_line(text: &str) -> String {
    let visible = text.replace(char::is_control, " ");
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
