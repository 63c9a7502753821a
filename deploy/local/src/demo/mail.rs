//! The mails of one address, as the mail server has them.

use anyhow::{Context, ensure};
use mailparse::{MailHeaderMap as _, parse_mail};
use serde::Deserialize;

use crate::readiness::http_client;

/// A mail, decoded.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) message_id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) has_html: bool,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "mimeMessage")]
    source: String,
}

/// All mails that arrived for an address; none when nobody wrote to it yet.
pub(super) async fn mails_to(address: &str, mailbox_url: &str) -> anyhow::Result<Vec<Mail>> {
    let url = format!("{mailbox_url}/api/user/{address}/messages");
    let response = http_client().get(&url).send().await.context("the mailbox does not answer")?;
    let status = response.status();
    // So it answers for an address without a mailbox, which comes with the first mail.
    if status.is_client_error() {
        return Ok(Vec::new());
    }
    ensure!(status.is_success(), "the mailbox answers {status}");
    let stored: Vec<Stored> = response.json().await.context("the mailbox's answer")?;
    stored.iter().map(|mail| decode(&mail.source)).collect()
}

fn decode(source: &str) -> anyhow::Result<Mail> {
    let mail = parse_mail(source.as_bytes()).context("a mail that cannot be read")?;
    let header = |name| mail.headers.get_first_value(name).unwrap_or_default();
    let part = |media_type| mail.parts().find(|part| part.ctype.mimetype == media_type);
    let text = part("text/plain").context("a mail without a text part")?;
    Ok(Mail {
        message_id: header("Message-ID"),
        from: header("From"),
        to: header("To"),
        subject: header("Subject"),
        text: text.get_body().context("a text part that cannot be read")?,
        has_html: part("text/html").is_some(),
    })
}

impl Mail {
    /// The first URL in the text that begins with `prefix`.
    pub(super) fn link(&self, prefix: &str) -> Option<&str> {
        self.text.split_whitespace().find(|word| word.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
Message-ID: <order-1-confirmed@muster.local>\r
From: Muster <orders@muster.local>\r
To: ada@example.com\r
Subject: =?utf-8?Q?Your_order_is_confirmed_=E2=9C=93?=\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary=\"x\"\r
\r
--x\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
Total 10,00=C2=A0EUR\r
See http://127.0.0.1:7401/abc=\r
def now\r
--x\r
Content-Type: text/html; charset=utf-8\r
\r
<p>Total</p>\r
--x--\r
";

    #[test]
    fn a_mail_is_decoded_before_it_is_looked_at() {
        let mail = decode(SOURCE).unwrap();
        assert_eq!(mail.message_id, "<order-1-confirmed@muster.local>");
        assert_eq!(mail.subject, "Your order is confirmed ✓");
        assert!(mail.text.contains("10,00\u{a0}EUR"), "{}", mail.text);
        assert!(mail.has_html);
        assert_eq!(mail.link("http://127.0.0.1:7401/"), Some("http://127.0.0.1:7401/abcdef"));
        assert_eq!(mail.link("https://"), None);
    }
}
