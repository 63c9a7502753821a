//! Watches one mailbox over IMAP and notes when each mail was first seen.
//!
//! The HTTP API of the mail server can only give out a whole mailbox again and again; IMAP can ask for what is new. `GreenMail`
//! takes time for a command that grows with the square of the mailbox's size, and keeps all mails in memory. So what was noted
//! is removed: the mailbox belongs to the run, and stays small however long that takes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;

use super::imap::Session;
use crate::reconcile::Arrivals;

/// How often to look, and so how exact the times are.
const POLL: Duration = Duration::from_millis(25);

/// Mails that were noted and stay, so that not each of them costs its removal.
const KEPT: u32 = 64;

/// Mails removed at a time: more would keep the server busy for too long.
const REMOVED_AT_ONCE: u32 = 500;

/// A mailbox that is being watched until this is dropped.
#[derive(Debug)]
pub struct Inbox {
    arrivals: Arc<Mutex<Arrivals>>,
    watch: tokio::task::JoinHandle<anyhow::Error>,
}

/// How far a mailbox was read, as UIDs.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// The last mail that was noted.
    noted: u32,
    /// The last one that was removed.
    removed: u32,
}

impl Inbox {
    /// Begins to watch the mailbox of an address that nobody else reads; `imap` is the server's `host:port`.
    pub async fn watch(address: &str, imap: &str) -> anyhow::Result<Self> {
        let watched =
            Watched { address: address.to_owned(), imap: imap.to_owned(), position: Position::default() };
        let session = watched.open().await?;
        let arrivals = Arc::new(Mutex::new(Arrivals::new()));
        let watch = tokio::spawn(watched.keep_noting(session, Arc::clone(&arrivals)));
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

/// A mailbox, and how far it was read.
struct Watched {
    address: String,
    imap: String,
    position: Position,
}

impl Watched {
    async fn open(&self) -> anyhow::Result<Session> {
        let mut session = Session::log_in(&self.address, &self.imap).await?;
        session.command("SELECT INBOX").await?;
        Ok(session)
    }

    async fn keep_noting(mut self, mut session: Session, notes: Arc<Mutex<Arrivals>>) -> anyhow::Error {
        loop {
            if self.advance(&mut session, &notes).await.is_err() {
                // GreenMail drops a session in which a mail arrives while it looks for changes.
                match self.open().await {
                    Ok(next) => session = next,
                    Err(error) => return error.context("the mailbox cannot be watched"),
                }
            }
            sleep(POLL).await;
        }
    }

    /// Notes the mails that arrived since the last call, and removes some of those that were noted.
    async fn advance(&mut self, session: &mut Session, notes: &Mutex<Arrivals>) -> anyhow::Result<()> {
        // Only then does the server look for mails that came after SELECT.
        session.command("NOOP").await?;
        let next = self.position.noted + 1;
        let query = format!("UID FETCH {next}:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
        let lines = session.command(&query).await?;
        // For a range beyond the end the server gives the last mail again.
        let new: Vec<_> = fetched(&lines).into_iter().filter(|(uid, _)| *uid >= next).collect();
        self.position.noted = new.iter().map(|(uid, _)| *uid).max().unwrap_or(self.position.noted);
        note(notes, new.into_iter().map(|(_, id)| id));
        if self.position.noted - self.position.removed > KEPT {
            self.remove(session).await?;
        }
        Ok(())
    }

    /// Removes the oldest mails that were noted. To do so twice, after a session that broke, does no harm.
    async fn remove(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let Position { noted, removed } = self.position;
        let last = noted.min(removed + REMOVED_AT_ONCE);
        session.command(&format!("UID STORE {}:{last} +FLAGS.SILENT (\\Deleted)", removed + 1)).await?;
        // EXPUNGE would tell of each, which GreenMail cannot while mails arrive.
        session.command("CLOSE").await?;
        self.position.removed = last;
        session.command("SELECT INBOX").await?;
        Ok(())
    }
}

fn note(notes: &Mutex<Arrivals>, ids: impl Iterator<Item = String>) {
    let mut arrivals = notes.lock().expect("nobody panics with this lock");
    for id in ids {
        arrivals.entry(id).or_default().push(Instant::now());
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
