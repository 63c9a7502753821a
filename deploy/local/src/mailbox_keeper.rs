//! Keeps the mail server of a stack from filling its memory, for nothing else ever takes mails out of it.
//!
//! A purge takes the mails of everybody, so it waits until nobody can be about to read one: whoever waits for a mail reads it
//! soon after it came, and load tests remove what they have read. Only when the memory is nearly full is nobody waited for.

use std::time::{Duration, Instant};

use anyhow::Context;
use loadtest::observe::{purge, standing};
use serde::Deserialize;

use crate::console::{print, print_error};
use crate::readiness::http_client;

/// How many mails may stay.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Bounds {
    /// Above so many mails, all are purged as soon as none has come for a while.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) bound: u32,
    /// Above so many, all are purged at once. The heap takes half as many again.
    #[arg(long, default_value_t = 40_000)]
    pub(crate) most: u32,
    /// For how long no mail may have come, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) quiet_s: u64,
    /// The pause between two looks, in seconds.
    #[arg(long, default_value_t = 5)]
    pub(crate) every_s: u64,
}

/// What all mailboxes of the server have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    n_mails: u32,
    /// Grows with each mail that comes, and is not changed by those that go.
    n_came: u64,
}

/// The part of an entry of `GET /api/user` that is needed.
#[derive(Deserialize)]
struct Owner {
    login: String,
}

/// Looks and purges until the program is ended. A mail server that is away is looked at again later.
pub(crate) async fn keep(imap: &str, api_url: &str, bounds: Bounds) {
    let mut activity = Activity::new(Instant::now());
    loop {
        if let Err(error) = look(imap, api_url, bounds, &mut activity).await {
            print_error(format_args!("the mailbox cannot be kept small: {error:#}"));
        }
        tokio::time::sleep(Duration::from_secs(bounds.every_s)).await;
    }
}

async fn look(imap: &str, api_url: &str, bounds: Bounds, activity: &mut Activity) -> anyhow::Result<()> {
    let total = total(imap, api_url).await?;
    let quiet_for = activity.quiet_for(total.n_came, Instant::now());
    if bounds.call_for_purge(total.n_mails, quiet_for) {
        purge(api_url).await?;
        print(format_args!(
            "{} mails purged, the last of which came {} s ago",
            total.n_mails,
            quiet_for.as_secs()
        ));
    }
    Ok(())
}

async fn total(imap: &str, api_url: &str) -> anyhow::Result<Total> {
    let answer =
        http_client().get(format!("{api_url}/api/user")).send().await.context("the mailbox's API")?;
    let owners: Vec<Owner> = answer.error_for_status()?.json().await.context("the owners of mailboxes")?;
    let mut total = Total::default();
    for owner in owners {
        let of_owner = standing(&owner.login, imap).await?;
        total.n_mails += of_owner.n_mails;
        total.n_came += u64::from(of_owner.next_uid);
    }
    Ok(total)
}

/// When mails came.
struct Activity {
    n_came: u64,
    changed_at: Instant,
}

impl Activity {
    fn new(now: Instant) -> Self {
        Self { n_came: 0, changed_at: now }
    }

    /// For how long none has come, as far as was seen.
    fn quiet_for(&mut self, n_came: u64, now: Instant) -> Duration {
        if n_came != self.n_came {
            *self = Self { n_came, changed_at: now };
        }
        now - self.changed_at
    }
}

impl Bounds {
    fn call_for_purge(self, n_mails: u32, quiet_for: Duration) -> bool {
        let is_quiet = quiet_for >= Duration::from_secs(self.quiet_s);
        n_mails > self.most || (n_mails > self.bound && is_quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bound: 100, most: 200, quiet_s: 10, every_s: 5 };

    #[test]
    fn mails_are_purged_when_nobody_waits_for_one_or_when_the_memory_is_nearly_full() {
        let seconds = Duration::from_secs;
        for (n_mails, quiet_for, expected) in
            [(100, 60, false), (101, 9, false), (101, 10, true), (200, 0, false), (201, 0, true)]
        {
            assert_eq!(
                BOUNDS.call_for_purge(n_mails, seconds(quiet_for)),
                expected,
                "{n_mails}, {quiet_for} s"
            );
        }
    }

    #[test]
    fn mails_that_come_and_go_between_two_looks_are_activity() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut activity = Activity::new(begin);
        assert_eq!(activity.quiet_for(7, at(5)), Duration::ZERO);
        assert_eq!(activity.quiet_for(7, at(15)), Duration::from_secs(10));
        assert_eq!(activity.quiet_for(8, at(20)), Duration::ZERO);
    }
}
