//! Sends postponed events again whose copy in a retry topic was lost: the process died before it was sent, or its topic was deleted.

use std::{convert::Infallible, time::Duration};

use crate::attempt::{Attempts, Handler};

/// How often lost copies are looked for.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks for lost copies until dropped. Not while the circuit is open: then the copies only wait for their attempts.
pub(crate) async fn run<H: Handler>(attempts: &Attempts<H>, topic: &str) -> Infallible {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if attempts.circuit.is_open() {
            continue;
        }
        let lost = attempts.postponed.take_lost(topic).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot look for lost events");
            Vec::new()
        });
        for event in lost {
            let offset = event.origin.offset;
            match attempts.send_again(&event).await {
                Ok(()) => tracing::warn!(
                    topic,
                    partition = event.origin.partition,
                    offset,
                    "a lost event is sent again"
                ),
                Err(reason) => {
                    tracing::warn!(reason, topic, offset, "a lost event cannot be sent, trying again later");
                }
            }
        }
    }
}
