//! Purges the mail server of a stack before its memory is full: GreenMail keeps every mail in memory (ADR 0030).
//!
//! A purge removes the mails of all mailboxes. It waits until no mail has arrived for a while: clients read a mail soon after its
//! arrival, and load tests remove the mails that they have read. When the memory is almost full, it does not wait.

use std::time::{Duration, Instant};

use loadtest::{imap::mailbox_status, mailbox::Mailbox};

use crate::console::{print, print_error};

/// Arguments of `muster mailbox-keeper`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The IMAP server.
    #[arg(long, value_name = "HOST:PORT")]
    imap: String,
    /// The HTTP API.
    #[arg(long)]
    api_url: String,
    #[command(flatten)]
    bounds: Bounds,
}

/// The limits of the mailbox.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Bounds {
    /// Purge above this number of mails, when no mail has arrived for `quiet-s` seconds.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) bound: u32,
    /// Purge above this number of mails at once. The heap has room for half as many more.
    #[arg(long, default_value_t = 40_000)]
    pub(crate) most: u32,
    /// Time without a new mail before a purge, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) quiet_s: u64,
    /// Interval between two checks, in seconds.
    #[arg(long, default_value_t = 5)]
    pub(crate) every_s: u64,
}

/// Runs the mailbox keeper.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    keep(&args.imap, &Mailbox::new(&args.api_url)?, args.bounds).await;
    Ok(())
}

/// Checks and purges until the program ends. Continues when the mail server is not available.
pub(crate) async fn keep(imap: &str, mailbox: &Mailbox, bounds: Bounds) {
    let mut activity = Activity::new(Instant::now());
    loop {
        if let Err(error) = check(imap, mailbox, bounds, &mut activity).await {
            print_error(format_args!("the mailbox cannot be checked: {error:#}"));
        }
        tokio::time::sleep(Duration::from_secs(bounds.every_s)).await;
    }
}

async fn check(imap: &str, mailbox: &Mailbox, bounds: Bounds, activity: &mut Activity) -> anyhow::Result<()> {
    let (mut n_mails, mut n_arrived) = (0, 0);
    for address in mailbox.addresses().await? {
        let status = mailbox_status(&address, imap).await?;
        n_mails += status.n_mails;
        // UIDs count the mails that ever arrived.
        n_arrived += u64::from(status.next_uid);
    }
    let quiet_for = activity.quiet_for(n_arrived, Instant::now());
    if bounds.require_purge(n_mails, quiet_for) {
        mailbox.purge().await?;
        print(format_args!("{n_mails} mails purged, {} s after the last one arrived", quiet_for.as_secs()));
    }
    Ok(())
}

/// When the last mail arrived.
struct Activity {
    n_arrived: u64,
    changed_at: Instant,
}

impl Activity {
    fn new(now: Instant) -> Self {
        Self { n_arrived: 0, changed_at: now }
    }

    /// Returns the time since the last observed arrival.
    fn quiet_for(&mut self, n_arrived: u64, now: Instant) -> Duration {
        if n_arrived != self.n_arrived {
            *self = Self { n_arrived, changed_at: now };
        }
        now - self.changed_at
    }
}

impl Bounds {
    fn require_purge(self, n_mails: u32, quiet_for: Duration) -> bool {
        let is_quiet = quiet_for >= Duration::from_secs(self.quiet_s);
        n_mails > self.most || (n_mails > self.bound && is_quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bound: 100, most: 200, quiet_s: 10, every_s: 5 };

    #[test]
    fn mails_are_purged_after_a_quiet_time_or_when_the_memory_is_almost_full() {
        let seconds = Duration::from_secs;
        for (n_mails, quiet_for, expected) in
            [(100, 60, false), (101, 9, false), (101, 10, true), (200, 0, false), (201, 0, true)]
        {
            assert_eq!(
                BOUNDS.require_purge(n_mails, seconds(quiet_for)),
                expected,
                "{n_mails}, {quiet_for} s"
            );
        }
    }

    #[test]
    fn mails_that_arrive_and_go_between_two_checks_are_activity() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut activity = Activity::new(begin);
        assert_eq!(activity.quiet_for(7, at(5)), Duration::ZERO);
        assert_eq!(activity.quiet_for(7, at(15)), Duration::from_secs(10));
        assert_eq!(activity.quiet_for(8, at(20)), Duration::ZERO);
    }
}
