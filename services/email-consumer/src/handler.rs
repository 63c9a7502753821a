//! One event, one mail.
//!
//! What can be repeated without harm comes first: read the event, put the link, write the mail, connect. Then the mail is
//! [handed over](crate::handover), once.

use std::sync::Arc;

use consumer::{Handler, Message, Outcome};
use events::Decoder;

use crate::{
    domain::{link_code::LinkCodeKey, mail::Mail, notice::Notice},
    error::Error,
    handover::{Handovers, ReadyMail},
    inbound::{self, Inbound},
    links::Links,
    metrics,
    smtp::Mailer,
    store::NewMail,
};

/// Sends the mail that an event calls for.
pub(crate) struct MailHandler {
    pub(crate) decoder: Decoder,
    pub(crate) link_codes: LinkCodeKey,
    pub(crate) links: Links,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) handovers: Handovers,
}

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
        let link = self.put_link(&notice).await?;
        fail_point::hit("email.link_put");
        let mail = Mail::write(&notice, &link, self.mailer.domain())?;
        let ready = ReadyMail {
            message: self.mailer.compose(&notice.recipient, mail)?,
            mail: NewMail {
                event_id,
                order_id: notice.order_id,
                tenant: notice.tenant.as_str().to_owned(),
                kind: notice.verdict.kind(),
                message_id: notice.message_id(self.mailer.domain()),
            },
            occurred_at: message.envelope.occurred_at,
            replays: message.replays,
        };
        let connection = self.mailer.connect().await?;
        if self.handovers.run(ready, connection).await? {
            tracing::info!(%event_id, order_id = %notice.order_id, kind = notice.verdict.kind(), "mail sent");
        }
        Ok(())
    }

    async fn put_link(&self, notice: &Notice) -> Result<String, Error> {
        let code = self.link_codes.code(notice.order_id);
        Ok(self.links.put(&notice.tenant, &code, &notice.tracking_url).await?)
    }
}
