//! The message as it travels (RFC 5322): headers and two alternative parts.

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::Error;
use crate::domain::mail::Mail;

/// Keeps vacation notices from being sent to us (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// Addresses a mail to the recipient as the customer entered it.
pub(super) fn compose(from: Mailbox, recipient: &str, mail: Mail) -> Result<Message, Error> {
    let address: Address = recipient.parse().or(Err(Error::InvalidAddress))?;
    Message::builder()
        .message_id(Some(mail.message_id))
        .date_now()
        .from(from)
        .to(Mailbox::new(None, address))
        .subject(mail.subject)
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
        .map_err(Error::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            message_id: "<order-1-confirmed@muster.local>".to_owned(),
            subject: "Your order is confirmed".to_owned(),
            text: "Total €1.00".to_owned(),
            html: "<p>Total €1.00</p>".to_owned(),
        }
    }

    fn from() -> Mailbox {
        "Muster <orders@muster.local>".parse().expect("a mailbox")
    }

    #[test]
    fn a_message_is_plain_ascii_with_two_alternatives() {
        let message = compose(from(), "ada@example.com", mail()).expect("a message");
        let bytes = message.formatted();
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes).expect("ASCII");
        for expected in [
            "Message-ID: <order-1-confirmed@muster.local>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "To: ada@example.com\r\n",
            "From: Muster <orders@muster.local>\r\n",
            "Date: ",
            "multipart/alternative",
            "text/plain; charset=utf-8",
            "text/html; charset=utf-8",
        ] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
    }

    /// Every kind of address with which the order service takes orders.
    #[test]
    fn addresses_of_customers_are_accepted() {
        let longest = format!("{}@{}.example", "x".repeat(64), "y".repeat(63));
        for good in [
            "a@b.example",
            "a.b+tag@c.d.example",
            "!#$%&'*+-/=?^_`{|}~@b.example",
            "x@xn--bcher-kva.example",
            &longest,
        ] {
            assert!(compose(from(), good, mail()).is_ok(), "{good}");
        }
    }

    #[test]
    fn an_address_cannot_bring_headers_or_recipients() {
        for bad in
            ["", "ada", "ada@", "ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com"]
        {
            assert!(matches!(compose(from(), bad, mail()), Err(Error::InvalidAddress)), "{bad:?}");
        }
    }
}
