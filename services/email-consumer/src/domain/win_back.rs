//! The win-back mail: a promotion to a customer who has not ordered for some days.

use askama::Template;
use chrono::{DateTime, Utc};
use events::promotions::CustomerLapsed;
use strum::{EnumIter, IntoStaticStr};
use url::Url;
use uuid::Uuid;

use super::Rendered;

/// The name of the mail in the database and in metrics.
pub(crate) const KIND: &str = "win_back";

/// The subject, which is the title of both parts too.
const TITLE: &str = "We would be glad to see you again";

/// Longest `List-Unsubscribe`: a line of a header has at most 998 characters (RFC 5322, section 2.1.1).
const MAX_URL: usize = 900;

/// What became of a promotion.
#[derive(Clone, Copy, Debug, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum End {
    /// The SMTP server accepted the mail.
    Sent,
    /// The SMTP server accepted it before.
    Repeated,
    /// Dropped under some pressure, at which others were sent.
    SampledOut,
    /// Dropped under full pressure, at which none is sent.
    Dropped,
    /// Its time was over.
    Expired,
    /// The SMTP server did not accept it, or did not say whether it did.
    Failed,
    /// No mail can be made of the event.
    Invalid,
    /// Another type of event.
    Ignored,
}

/// The data of a win-back mail. It contains an address and a capability, so it has no `Debug`.
pub(crate) struct WinBack {
    event: CustomerLapsed,
    unsubscribe: Url,
}

/// The event has no link with which the customer can unsubscribe, so it may not be mailed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event's unsubscribe link is malformed")]
pub(crate) struct InvalidLink;

impl WinBack {
    pub(crate) fn new(event: CustomerLapsed) -> Result<Self, InvalidLink> {
        let unsubscribe = Url::parse(&event.unsubscribe_url).or(Err(InvalidLink))?;
        let is_valid =
            matches!(unsubscribe.scheme(), "https" | "http") && unsubscribe.as_str().len() <= MAX_URL;
        if is_valid { Ok(Self { event, unsubscribe }) } else { Err(InvalidLink) }
    }

    pub(crate) fn recipient(&self) -> &str {
        &self.event.customer_email
    }

    /// Returns the `Message-ID`, the same for every attempt.
    pub(crate) fn message_id(event_id: Uuid, domain: &str) -> String {
        format!("<win-back-{event_id}@{domain}>")
    }

    /// Renders the mail. `domain` is the domain of the sender.
    pub(crate) fn render(self, event_id: Uuid, domain: &str) -> Result<Rendered, askama::Error> {
        let content = Content {
            title: TITLE,
            n_purchases: self.event.n_purchases,
            last_purchase: date(self.event.last_purchase_at),
            unsubscribe: &self.unsubscribe,
        };
        Ok(Rendered {
            message_id: Self::message_id(event_id, domain),
            subject: TITLE.to_owned(),
            text: Text { content: &content }.render()?,
            html: Html { content: &content }.render()?,
            unsubscribe: Some(self.unsubscribe),
        })
    }
}

struct Content<'a> {
    title: &'static str,
    n_purchases: i32,
    last_purchase: String,
    unsubscribe: &'a Url,
}

#[derive(Template)]
#[template(path = "win_back.html")]
struct Html<'a> {
    content: &'a Content<'a>,
}

#[derive(Template)]
#[template(path = "win_back.txt")]
struct Text<'a> {
    content: &'a Content<'a>,
}

fn date(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(unsubscribe_url: &str) -> CustomerLapsed {
        CustomerLapsed {
            customer_id: Uuid::from_u128(1),
            tenant: "acme".to_owned(),
            customer_email: "ada@example.com".to_owned(),
            n_purchases: 3,
            last_purchase_at: DateTime::UNIX_EPOCH,
            unsubscribe_url: unsubscribe_url.to_owned(),
            expires_at: Utc::now(),
        }
    }

    fn render(unsubscribe_url: &str) -> Rendered {
        let mail = WinBack::new(event(unsubscribe_url)).expect("valid");
        mail.render(Uuid::from_u128(2), "muster.local").expect("the templates render")
    }

    #[test]
    fn the_committed_mail_matches_the_templates() {
        render("https://shop.example/unsubscribe/token").assert_committed(KIND);
    }

    #[test]
    fn both_parts_say_why_and_how_to_end_it() {
        let link = "https://shop.example/unsubscribe/token";
        let mail = render(link);
        assert_eq!(mail.message_id, "<win-back-00000000-0000-0000-0000-000000000002@muster.local>");
        assert_eq!(mail.unsubscribe.map(String::from), Some(link.to_owned()));
        for part in [&mail.text, &mail.html] {
            for expected in ["3 orders", "1 January 1970", link] {
                assert!(part.contains(expected), "no {expected} in {part}");
            }
        }
        for forbidden in ["<img", "<link", "<script", "url(", "@import", "src="] {
            assert!(!mail.html.contains(forbidden), "{forbidden} in {}", mail.html);
        }
    }

    #[test]
    fn a_link_that_is_no_url_or_could_end_the_header_is_refused_or_encoded() {
        for bad in
            ["", "unsubscribe", "mailto:a@b.example", &format!("https://a.example/{}", "x".repeat(900))]
        {
            assert_eq!(WinBack::new(event(bad)).err(), Some(InvalidLink), "{bad}");
        }
        let hostile = WinBack::new(event("https://a.example/x>,<y\r\nBcc: eve@b.example")).expect("a URL");
        assert!(
            !hostile.unsubscribe.as_str().contains(['<', '>', '\r', '\n', ' ']),
            "{}",
            hostile.unsubscribe
        );
    }
}
