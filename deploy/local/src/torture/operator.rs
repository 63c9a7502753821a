//! Decides about dead letters as the runbook says, in place of the person on call.

use std::time::Duration;

use anyhow::Context as _;
use loadtest::{
    imap::Arrivals,
    reconcile::{Fault, FaultKind},
};
use serde::Serialize;
use tokio::time::sleep;
use tokio_postgres::Client as Session;

use crate::{
    config::StackConfig,
    dead_letters::{
        Summary,
        client::{Client, Letter},
        development_token, n_decided,
    },
    endpoints::PostgresEndpoint,
    parts::postgres,
    ports::url,
};

/// The code of a mail whose attempts had no answer. Kills use the attempts up: each ends a process that may have handed the mail over.
const NO_ANSWER: &str = "outcome_unknown";

const ACTOR: &str = "torture-run";

/// Pause between two looks at the letters.
const INTERVAL: Duration = Duration::from_secs(5);

/// Limit of a session with PostgreSQL.
const CONNECT: Duration = Duration::from_secs(5);

/// Letters that were decided about.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Decisions {
    pub(crate) discarded: usize,
    pub(crate) replayed: usize,
}

pub(crate) struct Operator {
    letters: Client,
    emails: Session,
    arrivals: Arrivals,
}

impl Operator {
    /// Connects to email-consumer and its database, which must not restart before this value is dropped.
    pub(crate) async fn connect(config: &StackConfig, arrivals: Arrivals) -> anyhow::Result<Self> {
        let base = url(config.ports.email_consumer());
        let token = development_token(&config.secrets, ACTOR.to_owned())?;
        let emails =
            postgres::connect(PostgresEndpoint::of(config)?.config("email_consumer"), CONNECT).await?;
        Ok(Self { letters: Client { base, token }, emails, arrivals })
    }

    /// Decides until it is cancelled, and adds what it decided.
    pub(crate) async fn keep_deciding(&self, decisions: &mut Decisions) -> anyhow::Result<()> {
        loop {
            self.decide(decisions).await?;
            sleep(INTERVAL).await;
        }
    }

    /// Discards letters whose mail has arrived, and replays the others. Letters of other codes stay open.
    async fn decide(&self, decisions: &mut Decisions) -> anyhow::Result<()> {
        let open = self.letters.list(vec![("code", NO_ANSWER.to_owned())], |_| {}).await?;
        for letter in open {
            let query =
                vec![("ids", letter.id.clone()), ("dry_run", "false".to_owned()), ("rate", "100".to_owned())];
            if self.has_arrived(&letter).await? {
                let decided = self.letters.discard(query, "the mail has arrived", |_| {}).await?;
                decisions.discarded += n_decided(&decided);
            } else {
                decisions.replayed += n_decided(&self.letters.replay(query, |_| {}).await?);
            }
        }
        Ok(())
    }

    async fn has_arrived(&self, letter: &Letter) -> anyhow::Result<bool> {
        let event_id = letter.event_id.as_ref().context("a letter without an event id")?;
        let statement = "SELECT message_id FROM mails WHERE event_id::text = $1";
        let row = self.emails.query_opt(statement, &[event_id]).await.context("the mails")?;
        let Some(row) = row else { return Ok(false) };
        let message_id: &str = row.try_get(0)?;
        Ok(self.arrivals.contain(message_id))
    }

    /// A fault if letters are left.
    pub(crate) async fn faults(&self) -> anyhow::Result<Vec<Fault>> {
        let open = self.letters.list(Vec::new(), |_| {}).await?;
        let fault = (!open.is_empty()).then(|| Fault::new(FaultKind::Unfinished, Summary(&open).to_string()));
        Ok(fault.into_iter().collect())
    }
}
