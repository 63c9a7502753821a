//! Mail that arrived.

use std::time::Duration;

use mailparse::{MailHeaderMap, ParsedMail};
use serde::Deserialize;

use crate::{client, endpoints, wait_for};

/// How long mail may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A mail as the server has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The raw source.
    #[serde(rename = "mimeMessage")]
    pub mime: String,
}

impl Mail {
    /// Returns a header, decoded; empty when it is not there.
    pub fn header(&self, name: &str) -> String {
        self.parsed().headers.get_first_value(name).unwrap_or_default()
    }

    /// Returns the `Message-ID`, angle brackets included.
    pub fn message_id(&self) -> String {
        self.header("Message-ID")
    }

    /// Returns the subject.
    pub fn subject(&self) -> String {
        self.header("Subject")
    }

    /// Returns the plain text part, decoded.
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// Returns the HTML part, decoded.
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    fn part(&self, media_type: &str) -> String {
        let parsed = self.parsed();
        let part = parsed.parts().find(|part| part.ctype.mimetype == media_type);
        let part = part.unwrap_or_else(|| panic!("the mail has no {media_type} part:\n{}", self.mime));
        part.get_body()
            .unwrap_or_else(|error| panic!("the {media_type} part is broken: {error}\n{}", self.mime))
    }

    fn parsed(&self) -> ParsedMail<'_> {
        mailparse::parse_mail(self.mime.as_bytes())
            .unwrap_or_else(|error| panic!("the mail is broken: {error}\n{}", self.mime))
    }
}

/// The mail server of this run, which makes a mailbox for whoever gets mail.
#[derive(Debug)]
pub struct Mailbox;

impl Mailbox {
    /// Returns the mails that an address has got so far; use an address of its own for each test.
    pub async fn messages(address: &str) -> Vec<Mail> {
        let url = format!("{}/api/user/{address}/messages", endpoints().mailbox_url);
        let answer = client().get(&url).send().await.unwrap_or_else(|error| panic!("GET {url}: {error:?}"));
        // Nobody wrote to this address yet, so there is no mailbox.
        if answer.status().is_client_error() {
            return Vec::new();
        }
        answer.json().await.unwrap_or_else(|error| panic!("GET {url}: {error:?}"))
    }

    /// Waits until an address has got `at_least` that many mails and returns all that are there.
    pub async fn wait_for(address: &str, at_least: usize) -> Vec<Mail> {
        wait_for(&format!("{at_least} mails to {address}"), TIMEOUT, async || {
            let mails = Self::messages(address).await;
            (mails.len() >= at_least).then_some(mails)
        })
        .await
    }
}
