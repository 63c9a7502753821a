//! Client of `GreenMail`'s HTTP API: reads the mails of an address, purges all mailboxes.

use anyhow::{Context as _, ensure};
use hyper::Method;
use mailparse::parse_mail;
use serde::Deserialize;

use crate::connections::{Connections, Limits, get};

/// A mail server that accepts mail for every address.
#[derive(Debug)]
pub struct Mailbox {
    server: Connections,
}

/// A mail, decoded.
#[derive(Clone, Debug)]
pub struct Mail {
    headers: Vec<(String, String)>,
    text: String,
    html: String,
    /// The source.
    pub mime: String,
}

#[derive(Deserialize)]
struct StoredMail {
    #[serde(rename = "mimeMessage")]
    mime: String,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

impl Mailbox {
    /// Opens no connection yet. `api_url` is `http://host:port`.
    pub fn new(api_url: &str) -> anyhow::Result<Self> {
        Ok(Self { server: Connections::new(api_url, Limits::FEW)? })
    }

    /// Returns all mails of an address; none for an address that never received a mail.
    pub async fn mails_to(&self, address: &str) -> anyhow::Result<Vec<Mail>> {
        let answer = self.server.call(get(&format!("/api/user/{address}/messages"))?).await?;
        // The mailbox is created with the first mail; before, the server answers 400.
        if answer.status.is_client_error() {
            return Ok(Vec::new());
        }
        let mails: Vec<StoredMail> = answer.expect(200)?.json()?;
        mails.into_iter().map(|mail| Mail::parse(mail.mime)).collect()
    }

    /// Returns the addresses that have a mailbox.
    pub async fn addresses(&self) -> anyhow::Result<Vec<String>> {
        let owners: Vec<Owner> = self.server.call(get("/api/user")?).await?.expect(200)?.json()?;
        Ok(owners.into_iter().map(|owner| owner.login).collect())
    }

    /// Removes the mails of every mailbox. UIDs continue.
    pub async fn purge(&self) -> anyhow::Result<()> {
        let mut purge = get("/api/mail/purge")?;
        *purge.method_mut() = Method::POST;
        let answer = self.server.call(purge).await?.expect(200)?;
        let text = String::from_utf8_lossy(&answer.body);
        // A failure is answered with 200 too.
        ensure!(text.contains("Purged"), "POST /api/mail/purge answers: {text}");
        Ok(())
    }
}

impl Mail {
    fn parse(mime: String) -> anyhow::Result<Self> {
        let mail = parse_mail(mime.as_bytes()).context("a mail cannot be parsed")?;
        let part = |media_type| {
            let part = mail.parts().find(|part| part.ctype.mimetype == media_type);
            part.map_or_else(|| Ok(String::new()), mailparse::ParsedMail::get_body)
        };
        let (text, html) = (part("text/plain")?, part("text/html")?);
        let headers = mail.headers.iter().map(|header| (header.get_key(), header.get_value())).collect();
        Ok(Self { headers, text, html, mime })
    }

    /// Returns a header, decoded; empty when it is missing.
    pub fn header(&self, name: &str) -> String {
        let header = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Returns the `Message-ID` with its angle brackets.
    pub fn message_id(&self) -> String {
        self.header("Message-ID")
    }

    /// Returns the subject.
    pub fn subject(&self) -> String {
        self.header("Subject")
    }

    /// Returns the plain text part; empty when the mail has none.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the HTML part; empty when the mail has none.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Returns the first URL in the text that starts with `prefix`.
    pub fn link(&self, prefix: &str) -> Option<&str> {
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
    fn a_mail_is_decoded() {
        let mail = Mail::parse(SOURCE.to_owned()).unwrap();
        assert_eq!(mail.message_id(), "<order-1-confirmed@muster.local>");
        assert_eq!(mail.subject(), "Your order is confirmed ✓");
        assert!(mail.text().contains("10,00\u{a0}EUR"), "{}", mail.text());
        assert_eq!(mail.html().trim(), "<p>Total</p>");
        assert_eq!(mail.link("http://127.0.0.1:7401/"), Some("http://127.0.0.1:7401/abcdef"));
        assert_eq!(mail.link("https://"), None);
    }
}
