//! E-mails to customers. Independent of Kafka, SMTP and the database.

pub(crate) mod link_code;
pub(crate) mod order_email;
pub(crate) mod win_back;

use url::Url;

/// An e-mail without its sender and recipient.
pub(crate) struct Rendered {
    pub(crate) message_id: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// Where a POST ends such mails: for promotions.
    pub(crate) unsubscribe: Option<Url>,
}

#[cfg(test)]
impl Rendered {
    /// Compares both parts with the files in `tests/mails`.
    fn assert_committed(&self, kind: &str) {
        for (part, extension) in [(&self.text, "txt"), (&self.html, "html")] {
            let path = format!("services/email-consumer/tests/mails/{kind}.{extension}");
            testkit::assert_committed(&path, part, "make mails");
        }
    }
}
