//! The stack as a target of load tests.

use anyhow::Context;
use loadtest::target::{Events, Mailbox, Target};

use crate::demo::well_stocked;
use crate::parts::kafka;
use crate::ports::{authority, url};
use crate::stack::StackConfig;

/// The tenant of local clients.
pub(crate) const TENANT: &str = "acme";

/// The services of a stack, a signing key, and the systems that show the effects of requests.
pub(crate) fn target(config: &StackConfig) -> anyhow::Result<Target> {
    let topic = kafka::TOPICS.first().context("the stack has no topic")?;
    Ok(Target {
        orders_url: url(config.ports.orders()),
        links_url: url(config.ports.url_shortener()),
        tenant: TENANT.to_owned(),
        skus: well_stocked(config.checkout.root(), TENANT)?,
        token_file: None,
        signing_key_file: Some(config.secrets.development_key_file()?),
        mailbox: Some(Mailbox {
            imap: authority(config.ports.imap()),
            api_url: Some(url(config.ports.mailbox_api())),
        }),
        events: Some(Events {
            bootstrap_servers: authority(config.ports.kafka()),
            topic: topic.name.to_owned(),
            registry_url: config.ports.registry_url(),
        }),
    })
}
