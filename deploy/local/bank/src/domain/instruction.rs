//! What a client instructs the bank to do.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use derive_more::Display;
use money::Currency;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Fate, Identifier};

/// The content of an instruction. The same id with other terms is a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// In the minor unit of the currency; positive.
    pub(crate) amount_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) source: Identifier,
    pub(crate) destination: Identifier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_url: Option<WebhookUrl>,
}

/// An instruction that the bank has accepted, with its fate: neither ever changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acceptance {
    pub(crate) id: Identifier,
    #[serde(flatten)]
    pub(crate) terms: Terms,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fate: Fate,
}

impl Acceptance {
    /// Returns the time from which the bank decides.
    pub(crate) fn due(&self) -> DateTime<Utc> {
        self.at + TimeDelta::milliseconds(self.fate.delay_ms.into())
    }
}

/// An absolute `http` or `https` URL.
#[derive(Clone, Debug, Display, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WebhookUrl(String);

/// The text is not the URL of a receiver of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an absolute URL with http or https of at most {} characters, without user name and password",
    WebhookUrl::MAX_LEN
)]
pub(crate) struct InvalidWebhookUrl;

impl WebhookUrl {
    pub(crate) const MAX_LEN: usize = 2_048;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = InvalidWebhookUrl;

    fn try_from(text: String) -> Result<Self, InvalidWebhookUrl> {
        let is_valid = |url: Url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        };
        if text.len() <= Self::MAX_LEN && Url::parse(&text).is_ok_and(is_valid) {
            Ok(Self(text))
        } else {
            Err(InvalidWebhookUrl)
        }
    }
}

impl FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        text.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_url_is_absolute_and_has_no_credentials() {
        for good in ["http://127.0.0.1:7000/bank", "https://ledger.example/webhooks?of=bank"] {
            assert!(good.parse::<WebhookUrl>().is_ok(), "{good}");
        }
        let long = format!("http://ledger.example/{}", "x".repeat(WebhookUrl::MAX_LEN));
        for bad in ["", "/bank", "ftp://ledger.example", "http://u:p@ledger.example", "http://u@a", &long] {
            assert_eq!(bad.parse::<WebhookUrl>(), Err(InvalidWebhookUrl), "{bad}");
        }
    }
}
