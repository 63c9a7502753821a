//! Mails and spans that arrived at the parts of this run.

use std::time::Duration;

use loadtest::{mailbox, mailbox::Mail, traces, traces::Span};

use crate::{endpoints, wait_for};

/// Time limit for mails to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The mail server of this run, which has a mailbox for every address.
#[derive(Debug)]
pub struct Mailbox;

impl Mailbox {
    /// Returns the mails of an address so far; use a different address in each test.
    pub async fn messages(address: &str) -> Vec<Mail> {
        mails_to(address, &client()).await
    }

    /// Waits until an address has `at_least` that many mails, and returns all of them.
    pub async fn wait_for(address: &str, at_least: usize) -> Vec<Mail> {
        let client = client();
        wait_for(&format!("{at_least} mails to {address}"), TIMEOUT, async || {
            let mails = mails_to(address, &client).await;
            (mails.len() >= at_least).then_some(mails)
        })
        .await
    }
}

fn client() -> mailbox::Mailbox {
    mailbox::Mailbox::new(&endpoints().mailbox_url).expect("the URL is valid")
}

async fn mails_to(address: &str, client: &mailbox::Mailbox) -> Vec<Mail> {
    let mails = client.mails_to(address).await;
    mails.unwrap_or_else(|error| panic!("cannot read the mails to {address}: {error:#}"))
}

/// The trace store of this run.
#[derive(Debug)]
pub struct Zipkin;

impl Zipkin {
    /// Returns the spans of a trace that have arrived so far.
    pub async fn trace(trace_id: &str) -> Vec<Span> {
        let zipkin = traces::Zipkin::new(&endpoints().zipkin_url).expect("the URL is valid");
        let spans = zipkin.trace(trace_id).await;
        spans.unwrap_or_else(|error| panic!("cannot read trace {trace_id}: {error:#}"))
    }
}
