//! Builds a message and sends it, phase by phase.

use std::{
    future::Future,
    iter::{from_fn, once},
    pin::pin,
};

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as LettreError,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailParameter},
    },
};
use tokio::{
    sync::oneshot,
    time::{Duration, sleep, timeout},
};

use super::{Error, error::Phase, settings::Timeouts};
use crate::{domain::Rendered, lease::Lease};

/// Prevents automatic replies to the sender (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// Where mails like this one can be ended (RFC 2369), and that a POST there does it (RFC 8058).
const LIST_UNSUBSCRIBE: HeaderName = HeaderName::new_from_ascii_str("List-Unsubscribe");
const LIST_UNSUBSCRIBE_POST: HeaderName = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");

/// Builds the message (RFC 5322): headers and two alternative parts. The recipient is the address as the customer entered it.
pub(super) fn compose(from: Mailbox, recipient: &str, email: Rendered) -> Result<Message, Error> {
    let address: Address = recipient.parse().or(Err(Error::InvalidAddress))?;
    let mut message = Message::builder()
        .message_id(Some(email.message_id))
        .date_now()
        .from(from)
        .to(Mailbox::new(None, address))
        .subject(email.subject)
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()));
    if let Some(url) = email.unsubscribe {
        message = message
            .raw_header(HeaderValue::new(LIST_UNSUBSCRIBE, format!("<{url}>")))
            .raw_header(HeaderValue::new(LIST_UNSUBSCRIBE_POST, "List-Unsubscribe=One-Click".to_owned()));
    }
    message.multipart(MultiPart::alternative_plain_html(email.text, email.html)).map_err(Error::Malformed)
}

/// Sends one message. After an error other than `OutcomeUnknown`, the server does not have it.
pub(super) async fn exchange(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    timeouts: &Timeouts,
    lease: &Lease,
) -> Result<(), Error> {
    let bytes = message.formatted();
    tokio::select! {
        biased;
        () = lease.lost() => return Err(Error::LeaseLost),
        announced = announce(connection, message, timeouts) => announced?,
    }
    // The last check before the text: the process may have been stopped for longer than the lease.
    if !lease.is_held() {
        return Err(Error::LeaseLost);
    }
    transfer(connection, bytes, timeouts, lease).await
}

/// Sends MAIL, RCPT and DATA.
async fn announce(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    timeouts: &Timeouts,
) -> Result<(), Error> {
    let envelope = message.envelope();
    let mut parameters = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Error::UnsupportedAddress);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let mail = Mail::new(envelope.from().cloned(), parameters);
    within(timeouts.mail, Phase::Mail, connection.command(mail)).await?;
    for recipient in envelope.to() {
        let rcpt = Rcpt::new(recipient.clone(), Vec::new());
        within(timeouts.rcpt, Phase::Rcpt, connection.command(rcpt)).await?;
    }
    within(timeouts.data, Phase::Data, connection.command(Data)).await
}

/// Runs a phase before the end of the mail, with a timeout.
pub(super) async fn within<T>(
    limit: Duration,
    phase: Phase,
    operation: impl Future<Output = Result<T, LettreError>>,
) -> Result<(), Error> {
    match timeout(limit, operation).await {
        Ok(answer) => answer.map(drop).map_err(|error| Error::before_end(phase, &error)),
        Err(_) => Err(Error::Unavailable("it does not answer in time")),
    }
}

/// Sends the text and the final dot, and waits for the answer. lettre requests the next part when it has written one, and writes the dot
/// when no part is left. From then on, the server may have the mail.
async fn transfer(
    connection: &mut AsyncSmtpConnection,
    bytes: Vec<u8>,
    timeouts: &Timeouts,
    lease: &Lease,
) -> Result<(), Error> {
    let (at_dot, mut dot) = oneshot::channel();
    let mut at_dot = Some(at_dot);
    let parts = once(bytes).chain(from_fn(move || {
        at_dot.take().map(|at_dot| at_dot.send(()));
        None
    }));
    let mut sending = pin!(connection.message_iter(parts));
    tokio::select! {
        biased;
        () = lease.lost() => return Err(Error::LeaseLost),
        answer = &mut sending => return result(answer, dot.try_recv().is_ok()),
        _ = &mut dot => {}
        () = sleep(timeouts.transfer) => return Err(Error::Unavailable("it does not accept the mail in time")),
    }
    match timeout(timeouts.final_answer, sending).await {
        Ok(answer) => result(answer, true),
        Err(_) => Err(Error::OutcomeUnknown("it did not answer in time")),
    }
}

fn result<T>(answer: Result<T, LettreError>, dot_was_sent: bool) -> Result<(), Error> {
    let convert =
        |error| if dot_was_sent { Error::after_end(&error) } else { Error::before_end(Phase::Data, &error) };
    answer.map(drop).map_err(convert)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> Rendered {
        Rendered {
            message_id: "<order-1-confirmed@muster.local>".to_owned(),
            subject: "Your order is confirmed".to_owned(),
            text: "Total €1.00".to_owned(),
            html: "<p>Total €1.00</p>".to_owned(),
            unsubscribe: None,
        }
    }

    fn from() -> Mailbox {
        "Muster <orders@muster.local>".parse().expect("a mailbox")
    }

    #[test]
    fn a_message_is_ascii_and_has_two_alternative_parts() {
        let message = compose(from(), "ada@example.com", email()).expect("a message");
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

    #[test]
    fn only_a_promotion_has_the_headers_of_one_click_unsubscription() {
        let url = format!("https://shop.example/unsubscribe/{}", "x".repeat(200));
        let promotion = Rendered { unsubscribe: url.parse().ok(), ..email() };
        let text = |email| String::from_utf8(compose(from(), "ada@example.com", email).unwrap().formatted());
        let promotion = text(promotion).expect("ASCII");
        assert!(promotion.contains(&format!("List-Unsubscribe: <{url}>\r\n")), "{promotion}");
        assert!(promotion.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{promotion}");
        assert!(!text(email()).expect("ASCII").contains("List-Unsubscribe"));
    }

    #[test]
    fn every_address_that_orders_accepts_is_accepted() {
        let longest = format!("{}@{}.example", "x".repeat(64), "y".repeat(63));
        for good in [
            "a@b.example",
            "a.b+tag@c.d.example",
            "!#$%&'*+-/=?^_`{|}~@b.example",
            "x@xn--bcher-kva.example",
            &longest,
        ] {
            assert!(compose(from(), good, email()).is_ok(), "{good}");
        }
    }

    #[test]
    fn an_address_cannot_inject_headers_or_recipients() {
        for bad in
            ["", "ada", "ada@", "ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com"]
        {
            assert!(matches!(compose(from(), bad, email()), Err(Error::InvalidAddress)), "{bad:?}");
        }
    }
}
