//! Empties every mailbox of the mail server.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use hyper::StatusCode;

use super::{LIMITS, answered};
use crate::connections::{Connections, post};
use crate::target::authority;

/// Has `GreenMail`, whose API is at `api_url`, forget every mail, whoever it is for. UIDs go on where they were.
pub async fn purge(api_url: &str) -> anyhow::Result<()> {
    let server = Connections::new(authority(api_url)?, LIMITS)?;
    let request = post("/api/mail/purge", &[], String::new())?;
    let answer = answered(server.send(request, Instant::now()).await).context("the mailbox's API")?;
    let said = String::from_utf8_lossy(&answer.body);
    // It is 200 for a failure too.
    ensure!(
        answer.status == StatusCode::OK && said.contains("Purged"),
        "the mailbox's API answers POST /api/mail/purge with {}: {said}",
        answer.status
    );
    Ok(())
}
