//! As much of IMAP (RFC 3501) as it takes to watch a mailbox.

use std::time::Duration;

use anyhow::{Context, bail};
use rustix::net::sockopt::set_tcp_quickack;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, logged in as the owner of a mailbox.
pub(super) struct Session {
    stream: BufReader<TcpStream>,
    n_commands: u32,
}

/// What a mailbox has, and had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Mails in it.
    pub n_mails: u32,
    /// The UID that its next mail gets; it grows with each mail and never goes back.
    pub next_uid: u32,
}

/// Asks for the inbox of an address without reading any of it; `imap` is the server's `host:port`.
pub async fn standing(address: &str, imap: &str) -> anyhow::Result<Standing> {
    let mut session = Session::log_in(address, imap).await?;
    let lines = session.command("STATUS INBOX (MESSAGES UIDNEXT)").await?;
    parse_standing(&lines).with_context(|| format!("the mail server's answer to STATUS: {lines:?}"))
}

fn parse_standing(lines: &[String]) -> Option<Standing> {
    let (_, items) = lines.iter().find(|line| line.starts_with("* STATUS"))?.rsplit_once('(')?;
    let mut words = items.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut found = std::collections::BTreeMap::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        found.insert(name, value.parse().ok()?);
    }
    Some(Standing { n_mails: *found.get("MESSAGES")?, next_uid: *found.get("UIDNEXT")? })
}

impl Session {
    pub(super) async fn log_in(address: &str, imap: &str) -> anyhow::Result<Self> {
        let mut stream = BufReader::new(connect(imap).await?);
        let mut greeting = String::new();
        let greeted = timeout(PATIENCE, stream.read_line(&mut greeting)).await;
        greeted.context("no IMAP greeting in time")?.context("no IMAP greeting")?;
        let mut session = Self { stream, n_commands: 0 };
        session.command(&format!("LOGIN \"{address}\" \"any\"")).await?;
        Ok(session)
    }

    /// Sends a command and returns the lines before its completion.
    pub(super) async fn command(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        let exchange = timeout(PATIENCE, self.exchange(command)).await;
        exchange.with_context(|| format!("the mail server does not answer `{command}`"))?
    }

    /// `GreenMail` writes an answer in pieces, with Nagle's algorithm: each piece waits for the acknowledgement of the one before,
    /// which would be 40 ms late, and a mail would be seen later by as much. The kernel goes back to that by itself.
    fn acknowledge_at_once(&self) -> anyhow::Result<()> {
        set_tcp_quickack(self.stream.get_ref(), true).context("the socket of IMAP")
    }

    async fn exchange(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        self.n_commands += 1;
        let tag = format!("a{}", self.n_commands);
        let line = format!("{tag} {command}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).await.context("IMAP")?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.acknowledge_at_once()?;
            if self.stream.read_line(&mut line).await.context("IMAP")? == 0 {
                bail!("the mail server hung up");
            }
            let Some(completion) = line.strip_prefix(&format!("{tag} ")) else {
                lines.push(line);
                continue;
            };
            if !completion.starts_with("OK") {
                bail!("the mail server answers `{command}` with: {}", completion.trim());
            }
            return Ok(lines);
        }
    }
}

async fn connect(imap: &str) -> anyhow::Result<TcpStream> {
    let connected = timeout(PATIENCE, TcpStream::connect(imap)).await;
    connected
        .with_context(|| format!("{imap} does not answer"))?
        .with_context(|| format!("{imap}: no connection"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_is_read_in_whatever_order_it_comes() {
        let standing = Some(Standing { n_mails: 3, next_uid: 12 });
        for line in
            ["* STATUS \"INBOX\" (MESSAGES 3 UIDNEXT 12)\r\n", "* STATUS INBOX (UIDNEXT 12 MESSAGES 3 )\r\n"]
        {
            assert_eq!(parse_standing(&[line.to_owned()]), standing, "{line}");
        }
        assert_eq!(parse_standing(&["* STATUS INBOX (MESSAGES 3)\r\n".to_owned()]), None);
    }
}
