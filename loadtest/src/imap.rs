//! Watches mailboxes over IMAP, which can list and remove single mails; the HTTP API of `GreenMail` cannot.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use anyhow::Context;
use async_imap::types::Fetch;
use futures::TryStreamExt as _;
use mailparse::MailHeaderMap as _;
use rustix::net::sockopt::set_tcp_quickack;
use tokio::{
    io::{AsyncRead, Join, ReadBuf, join},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::reconcile::MailTimes;

/// Limit for one exchange with the mail server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Interval between two queries for new mails, and so the precision of the measured times.
const POLL: Duration = Duration::from_millis(25);

/// The longest outage of the mail server: that of a drill.
const OUTAGE: Duration = Duration::from_mins(30);

/// Pause between two attempts during an outage.
const PAUSE: Duration = Duration::from_millis(250);

/// Recorded mails that stay in the mailbox, so that one removal covers many mails.
const MAX_KEPT: u32 = 64;

/// Mails per removal. A longer removal blocks deliveries.
const MAX_REMOVED: u32 = 500;

type Session = async_imap::Session<Join<QuickAck, OwnedWriteHalf>>;

/// The state of a mailbox, from IMAP's STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    /// Mails in it.
    pub n_mails: u32,
    /// The UID of its next mail: grows with each mail and never decreases.
    pub next_uid: u32,
}

/// Returns the state of the inbox of `address`, without reading mails. `imap` is the server's `host:port`.
pub async fn mailbox_status(address: &str, imap: &str) -> anyhow::Result<MailboxStatus> {
    let mut session = log_in(address, imap).await?;
    let status = timeout(TIMEOUT, session.status("INBOX", "(MESSAGES UIDNEXT)")).await??;
    let next_uid = status.uid_next.context("the mail server's STATUS has no UIDNEXT")?;
    Ok(MailboxStatus { n_mails: status.exists, next_uid })
}

/// Records when each mail of one mailbox arrives, and removes recorded mails. Stops when it is dropped.
///
/// The mailbox must stay small: `GreenMail` needs time that grows with the square of its size for each command, and keeps all mails in
/// memory (ADR 0030).
#[derive(Debug)]
pub struct InboxWatch {
    times: Arc<Mutex<MailTimes>>,
    task: AbortOnDropHandle<anyhow::Error>,
}

impl InboxWatch {
    /// Starts to watch the mailbox of `address`, which must have no other reader. `imap` is the server's `host:port`.
    pub async fn start(address: &str, imap: &str) -> anyhow::Result<Self> {
        let times = Arc::<Mutex<MailTimes>>::default();
        let inbox =
            Inbox { address: address.to_owned(), imap: imap.to_owned(), last_recorded: 0, last_removed: 0 };
        let session = inbox.open().await?;
        let task = tokio::spawn(inbox.watch(session, Arc::clone(&times)));
        Ok(Self { times, task: AbortOnDropHandle::new(task) })
    }

    /// Returns a view of the arrivals for another task.
    pub fn arrivals(&self) -> Arrivals {
        Arrivals(Arc::clone(&self.times))
    }

    /// Returns the arrivals so far. Fails when the watch has failed.
    pub async fn times(&mut self) -> anyhow::Result<MailTimes> {
        if self.task.is_finished() {
            return Err((&mut self.task).await.context("the watch of the mailbox panicked")?);
        }
        Ok(self.times.lock().expect("no panic while locked").clone())
    }
}

/// The mails that an [`InboxWatch`] has recorded.
#[derive(Clone, Debug)]
pub struct Arrivals(Arc<Mutex<MailTimes>>);

impl Arrivals {
    /// Whether a mail with this `Message-ID` has arrived.
    pub fn contain(&self, message_id: &str) -> bool {
        self.0.lock().expect("no panic while locked").contains_key(message_id)
    }
}

/// A mailbox and the UIDs up to which its mails are recorded and removed.
struct Inbox {
    address: String,
    imap: String,
    last_recorded: u32,
    last_removed: u32,
}

impl Inbox {
    async fn open(&self) -> anyhow::Result<Session> {
        let mut session = log_in(&self.address, &self.imap).await?;
        timeout(TIMEOUT, session.select("INBOX")).await??;
        Ok(session)
    }

    /// Opens a new session, after an outage of the server too: mails that wait for it arrive later.
    async fn open_again(&self) -> anyhow::Result<Session> {
        let deadline = Instant::now() + OUTAGE;
        loop {
            match self.open().await {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                result => return result,
            }
        }
    }

    async fn watch(mut self, mut session: Session, times: Arc<Mutex<MailTimes>>) -> anyhow::Error {
        loop {
            let polled = timeout(TIMEOUT, self.poll(&mut session, &times)).await;
            // GreenMail closes a session when a mail arrives while it checks for changes.
            if !matches!(polled, Ok(Ok(()))) {
                match self.open_again().await {
                    Ok(next) => session = next,
                    Err(error) => return error.context("the mailbox cannot be watched"),
                }
            }
            sleep(POLL).await;
        }
    }

    /// Records the mails that arrived since the last call, and removes some of the recorded ones.
    async fn poll(&mut self, session: &mut Session, times: &Mutex<MailTimes>) -> anyhow::Result<()> {
        // Only after this command does the server report mails that arrived after SELECT.
        session.noop().await?;
        while session.unsolicited_responses.try_recv().is_ok() {}
        let next = self.last_recorded + 1;
        let query = "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])";
        let mails: Vec<Fetch> = session.uid_fetch(format!("{next}:*"), query).await?.try_collect().await?;
        // For a range beyond the end the server returns the last mail again.
        let new =
            mails.iter().filter_map(|mail| Some((mail.uid.filter(|uid| *uid >= next)?, message_id(mail)?)));
        for (uid, id) in new {
            self.last_recorded = self.last_recorded.max(uid);
            times.lock().expect("no panic while locked").entry(id).or_default().push(Instant::now());
        }
        if self.last_recorded - self.last_removed > MAX_KEPT {
            self.remove(session).await?;
        }
        Ok(())
    }

    /// Removes the oldest recorded mails. A repetition after a broken session has no effect.
    async fn remove(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let first = self.last_removed + 1;
        let last = self.last_recorded.min(self.last_removed + MAX_REMOVED);
        let store = format!("UID STORE {first}:{last} +FLAGS.SILENT (\\Deleted)");
        session.run_command_and_check_ok(store).await?;
        // EXPUNGE would report each mail, which GreenMail cannot do while mails arrive.
        session.close().await?;
        self.last_removed = last;
        session.select("INBOX").await?;
        Ok(())
    }
}

fn message_id(mail: &Fetch) -> Option<String> {
    let (headers, _) = mailparse::parse_headers(mail.header()?).ok()?;
    headers.get_first_value("Message-ID")
}

async fn log_in(address: &str, imap: &str) -> anyhow::Result<Session> {
    let log_in = async {
        let stream = TcpStream::connect(imap).await.context("no connection")?;
        let (reader, writer) = stream.into_split();
        let mut client = async_imap::Client::new(join(QuickAck(reader), writer));
        client.read_response().await?.context("no IMAP greeting")?;
        client.login(address, "any").await.map_err(|(error, _)| anyhow::Error::new(error))
    };
    timeout(TIMEOUT, log_in)
        .await
        .context("timeout")
        .flatten()
        .with_context(|| format!("IMAP login at {imap}"))
}

/// The reading half of a connection that acknowledges each segment at once. `GreenMail` writes an answer in pieces, with Nagle's algorithm: each piece
/// waits for the acknowledgement of the one before, which the kernel delays by 40 ms.
#[derive(Debug)]
struct QuickAck(OwnedReadHalf);

impl AsyncRead for QuickAck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        // Before each read: the kernel returns to delayed acknowledgement by itself.
        set_tcp_quickack(self.0.as_ref(), true)?;
        Pin::new(&mut self.0).poll_read(task, buffer)
    }
}
