//! One event, one mail.
//!
//! Steps that can each be repeated: claim, put the link, hand the mail over, record. An SMTP server takes part in no
//! transaction, so one window remains: a process that dies after the server accepted the mail and before that is
//! recorded leaves an event whose mail goes out again, with the same `Message-ID`. `begin_handover` marks the window's
//! beginning in the database, so that the second time is counted, and nothing else is.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use chrono::{DateTime, Utc};
use consumer::{Handler, Message, Outcome};
use events::Decoder;
use pg::Pool;
use uuid::Uuid;

use crate::{
    domain::{link_code::LinkCodeKey, mail::Mail, notice::Notice},
    error::Error,
    inbound::{self, Inbound},
    links::Links,
    metrics,
    smtp::Mailer,
    store::{self, NewMail},
};

/// Sends the mail that an event calls for.
pub(crate) struct MailHandler {
    pub(crate) decoder: Decoder,
    pub(crate) pool: Pool,
    pub(crate) link_codes: LinkCodeKey,
    pub(crate) links: Links,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) accepted: Accepted,
}

/// Events whose mail the server has accepted while that is not recorded yet. A database that is down just then is
/// waited for without sending the mail again. One per partition at most, but for those that another process has taken
/// over.
#[derive(Default)]
pub(crate) struct Accepted(Mutex<HashSet<Uuid>>);

impl Handler for MailHandler {
    async fn handle(&self, message: &Message) -> Outcome {
        match self.process(message).await {
            Ok(()) => Outcome::Done,
            Err(error) => error.outcome(),
        }
    }
}

impl MailHandler {
    async fn process(&self, message: &Message) -> Result<(), Error> {
        let event_id = message.envelope.event_id;
        let notice = match inbound::decode(&self.decoder, message).await? {
            Inbound::Notice(notice) => notice,
            Inbound::Ignored(reason) => {
                metrics::IGNORED.with_label_values(&[reason]).inc();
                return Ok(());
            }
        };
        if !self.accepted.lock().contains(&event_id) {
            if !self.claim(event_id, &notice).await? {
                return Ok(());
            }
            fail_point::hit("email.claimed");
            let link = self.put_link(&notice).await?;
            fail_point::hit("email.link_put");
            self.hand_over(event_id, &notice, &link).await?;
            self.accepted.lock().insert(event_id);
            observe(&notice, message.envelope.occurred_at);
            fail_point::hit("email.sent");
        }
        store::record_sent(&self.pool, event_id).await?;
        fail_point::hit("email.recorded");
        self.accepted.lock().remove(&event_id);
        tracing::info!(%event_id, order_id = %notice.order_id, kind = notice.verdict.kind(), "mail sent");
        Ok(())
    }

    async fn claim(&self, event_id: Uuid, notice: &Notice) -> Result<bool, Error> {
        let mail = NewMail {
            event_id,
            order_id: notice.order_id,
            tenant: notice.tenant.as_str(),
            kind: notice.verdict.kind(),
            message_id: &notice.message_id(self.mailer.domain()),
        };
        Ok(store::claim_mail(&self.pool, &mail).await?)
    }

    async fn put_link(&self, notice: &Notice) -> Result<String, Error> {
        let code = self.link_codes.code(notice.order_id);
        Ok(self.links.put(&notice.tenant, &code, &notice.tracking_url).await?)
    }

    /// Returns when the SMTP server has accepted the mail. What can fail before the server has anything, fails before
    /// the mark.
    async fn hand_over(&self, event_id: Uuid, notice: &Notice, link: &str) -> Result<(), Error> {
        let mail = Mail::write(notice, link, self.mailer.domain())?;
        let message = self.mailer.compose(&notice.recipient, mail)?;
        let connection = self.mailer.connect().await?;
        let handovers = store::begin_handover(&self.pool, event_id).await?;
        if handovers > 1 {
            metrics::POSSIBLE_DUPLICATES.inc();
            tracing::warn!(%event_id, handovers, "the mail may have been accepted before, it may arrive twice");
        }
        fail_point::hit("email.handing_over");
        let sent = self.mailer.send(connection, &message).await;
        if sent.as_ref().is_err_and(crate::smtp::Error::is_refusal) {
            store::undo_handover(&self.pool, event_id).await?;
        }
        Ok(sent?)
    }
}

impl Accepted {
    fn lock(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().expect("no panic under this lock")
    }
}

fn observe(notice: &Notice, occurred_at: DateTime<Utc>) {
    let kind = notice.verdict.kind();
    metrics::MAILS_SENT.with_label_values(&[kind]).inc();
    // A producer whose clock is ahead makes no negative delay.
    let delay = (Utc::now() - occurred_at).to_std().unwrap_or_default();
    metrics::DELAY.with_label_values(&[kind]).observe(delay.as_secs_f64());
}
