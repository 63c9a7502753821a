//! Watches one mailbox over IMAP and notes when each mail was first seen.
//!
//! The HTTP API of the mail server can only give out a whole mailbox again and again; IMAP can ask
//! for what is new. This speaks just the four commands that takes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::reconcile::Arrivals;

/// How often to look, and so how exact the times are.
const POLL: Duration = Duration::from_millis(25);

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mailbox that is being watched until this is dropped.
#[derive(Debug)]
pub struct Inbox {
    arrivals: Arc<Mutex<Arrivals>>,
    watch: tokio::task::JoinHandle<anyhow::Error>,
}

impl Inbox {
    /// Begins to watch the mailbox of an address; `imap` is the server's `host:port`.
    pub async fn watch(address: &str, imap: &str) -> anyhow::Result<Self> {
        let session = Session::open(address, imap, 0).await?;
        let arrivals = Arc::new(Mutex::new(Arrivals::new()));
        let watch = tokio::spawn(watch(session, address.to_owned(), imap.to_owned(), Arc::clone(&arrivals)));
        Ok(Self { arrivals, watch })
    }

    /// What has arrived so far; fails when the watch has ended.
    pub async fn arrivals(&mut self) -> anyhow::Result<Arrivals> {
        if self.watch.is_finished() {
            return Err((&mut self.watch).await.context("the watch of the mailbox panicked")?);
        }
        Ok(self.arrivals.lock().expect("nobody panics with this lock").clone())
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn watch(
    mut session: Session,
    address: String,
    imap: String,
    notes: Arc<Mutex<Arrivals>>,
) -> anyhow::Error {
    loop {
        if let Ok(ids) = session.new_message_ids().await {
            note(&notes, ids);
        } else {
            // GreenMail drops a session in which a mail arrives while it looks for changes.
            match Session::open(&address, &imap, session.last_uid).await {
                Ok(next) => session = next,
                Err(error) => return error.context("the mailbox cannot be watched"),
            }
        }
        sleep(POLL).await;
    }
}

fn note(notes: &Mutex<Arrivals>, ids: Vec<String>) {
    let mut arrivals = notes.lock().expect("nobody panics with this lock");
    for id in ids {
        arrivals.entry(id).or_default().push(Instant::now());
    }
}

async fn connect(imap: &str) -> anyhow::Result<TcpStream> {
    let connected = timeout(PATIENCE, TcpStream::connect(imap)).await;
    connected
        .with_context(|| format!("{imap} does not answer"))?
        .with_context(|| format!("{imap}: no connection"))
}

/// An IMAP connection (RFC 3501) with a mailbox selected.
struct Session {
    stream: BufReader<TcpStream>,
    n_commands: u32,
    last_uid: u32,
}

impl Session {
    /// Opens a connection that begins with the mail after `last_uid`.
    async fn open(address: &str, imap: &str, last_uid: u32) -> anyhow::Result<Self> {
        let mut stream = BufReader::new(connect(imap).await?);
        let mut greeting = String::new();
        stream.read_line(&mut greeting).await.context("no IMAP greeting")?;
        let mut session = Self { stream, n_commands: 0, last_uid };
        session.command(&format!("LOGIN \"{address}\" \"any\"")).await?;
        session.command("SELECT INBOX").await?;
        Ok(session)
    }

    /// The ids of the mails that arrived since the last call.
    async fn new_message_ids(&mut self) -> anyhow::Result<Vec<String>> {
        // Only then does the server look for mails that came after SELECT.
        self.command("NOOP").await?;
        let next = self.last_uid + 1;
        let query = format!("UID FETCH {next}:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
        let lines = self.command(&query).await?;
        let fetched = fetched(&lines);
        // For a range beyond the end the server gives the last mail again.
        let new: Vec<_> = fetched.into_iter().filter(|(uid, _)| *uid >= next).collect();
        self.last_uid = new.iter().map(|(uid, _)| *uid).max().unwrap_or(self.last_uid);
        Ok(new.into_iter().map(|(_, id)| id).collect())
    }

    /// Sends a command and returns the lines before its completion.
    async fn command(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        let exchange = timeout(PATIENCE, self.exchange(command)).await;
        exchange.with_context(|| format!("the mail server does not answer `{command}`"))?
    }

    async fn exchange(&mut self, command: &str) -> anyhow::Result<Vec<String>> {
        self.n_commands += 1;
        let tag = format!("a{}", self.n_commands);
        let line = format!("{tag} {command}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).await.context("IMAP")?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
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

/// Pairs of UID and `Message-ID`. The id may stand on a continuation line of its header.
fn fetched(lines: &[String]) -> Vec<(u32, String)> {
    let mut uid = None;
    let mut pairs = Vec::new();
    for line in lines {
        if let Some((_, rest)) = line.split_once("UID ").filter(|_| line.starts_with('*')) {
            uid = rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|uid| uid.parse().ok());
        }
        let id = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        if let (Some(uid), Some((id, _))) = (uid, id) {
            pairs.push((uid, format!("<{id}>")));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_on_the_header_s_line_or_the_next() {
        let lines = [
            "* 1 FETCH (UID 7 BODY[HEADER.FIELDS (\"MESSAGE-ID\")] {40}\r\n",
            "Message-ID: <order-1-confirmed@muster.local>\r\n",
            "\r\n",
            ")\r\n",
            "* 2 FETCH (UID 8 BODY[HEADER.FIELDS (\"MESSAGE-ID\")] {40}\r\n",
            "Message-ID:\r\n",
            " <order-2-rejected@muster.local>\r\n",
            ")\r\n",
        ]
        .map(str::to_owned);
        assert_eq!(
            fetched(&lines),
            [
                (7, "<order-1-confirmed@muster.local>".to_owned()),
                (8, "<order-2-rejected@muster.local>".to_owned()),
            ]
        );
    }
}
