//! All SQL of this service. The table `mails` remembers how far each mail has got.
//!
//! ```text
//! (none) -> sending -> handing_over -> sent
//!              ^            |
//!              +- refused --+
//! ```
//!
//! `sending` means that nothing has reached the SMTP server, `handing_over` that it may have.

mod purge;

pub(crate) use purge::keep_purged;

use idempotency::dedup;
use pg::{Columns as _, Error, Migration, Pool, Schema, run_tx, types::ToSql};
use uuid::Uuid;

/// The name of this service among the consumers of an event.
const CONSUMER: &str = "email-consumer";

const MIGRATIONS: &[Migration] = &[("V1__create_mails", include_str!("../migrations/V1__create_mails.sql"))];

/// Every table that this service has.
pub(crate) const SCHEMAS: &[Schema] = &[("dedup", dedup::MIGRATIONS), ("email_consumer", MIGRATIONS)];

const CLAIM_MAIL: &str = "\
-- claim_mail()
INSERT INTO mails (event_id, order_id, tenant, kind, message_id, state)
VALUES ($1, $2, $3, $4, $5, 'sending')
ON CONFLICT (event_id) DO UPDATE SET attempts = mails.attempts + 1";

const BEGIN_HANDOVER: &str = "\
-- begin_handover()
UPDATE mails SET state = 'handing_over', handovers = handovers + 1
WHERE event_id = $1 AND state IN ('sending', 'handing_over')
RETURNING handovers";

const UNDO_HANDOVER: &str = "\
-- undo_handover()
UPDATE mails SET handovers = handovers - 1,
    state = CASE WHEN handovers = 1 THEN 'sending' ELSE 'handing_over' END
WHERE event_id = $1 AND state = 'handing_over'";

const RECORD_SENT: &str = "\
-- record_sent()
UPDATE mails SET state = 'sent', sent_at = now()
WHERE event_id = $1 AND state = 'handing_over'";

/// A mail that is to be sent.
pub(crate) struct NewMail<'a> {
    /// The event that it tells about.
    pub(crate) event_id: Uuid,
    /// The order of that event.
    pub(crate) order_id: Uuid,
    /// Whose order it is.
    pub(crate) tenant: &'a str,
    /// What it says about the order.
    pub(crate) kind: &'a str,
    /// Its identity.
    pub(crate) message_id: &'a str,
}

/// Takes up a mail. Returns `false` when it was sent already.
pub(crate) async fn claim_mail(pool: &Pool, mail: &NewMail<'_>) -> Result<bool, Error> {
    run_tx(pool, "claim_mail", mail, |tx, mail| {
        Box::pin(async move {
            if dedup::seen(tx, CONSUMER, mail.event_id).await? {
                return Ok(false);
            }
            let values: [&(dyn ToSql + Sync); 5] =
                [&mail.event_id, &mail.order_id, &mail.tenant, &mail.kind, &mail.message_id];
            tx.execute_exactly(1, CLAIM_MAIL, &values).await?;
            Ok(true)
        })
    })
    .await
}

/// Notes that the SMTP server may have the mail from now on. Returns how often that was so, this time included: after
/// the first time, the customer may get it twice.
pub(crate) async fn begin_handover(pool: &Pool, event_id: Uuid) -> Result<i32, Error> {
    run_tx(pool, "begin_handover", &event_id, |tx, event_id| {
        Box::pin(async move { tx.query_one(BEGIN_HANDOVER, &[event_id]).await?.column("handovers") })
    })
    .await
}

/// Notes that the SMTP server refused the mail, so that it does not have it.
pub(crate) async fn undo_handover(pool: &Pool, event_id: Uuid) -> Result<(), Error> {
    run_tx(pool, "undo_handover", &event_id, |tx, event_id| {
        Box::pin(async move { tx.execute_exactly(1, UNDO_HANDOVER, &[event_id]).await })
    })
    .await
}

/// Records that the SMTP server accepted the mail, and with it that the event is done.
pub(crate) async fn record_sent(pool: &Pool, event_id: Uuid) -> Result<(), Error> {
    run_tx(pool, "mail_sent", &event_id, |tx, event_id| {
        Box::pin(async move {
            // When another attempt was faster, or this one's COMMIT got lost on the way back, everything is there
            // already.
            if dedup::record(tx, CONSUMER, *event_id).await? {
                tx.execute_exactly(1, RECORD_SENT, &[event_id]).await?;
            }
            Ok(())
        })
    })
    .await
}
