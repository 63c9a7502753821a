//! All SQL of this service. The table `mails` remembers how far each mail has got.
//!
//! ```text
//! (none) -> handing_over -> sent
//!             |      ^
//!    not handed over |
//!             v      |
//!            sending-+
//! ```
//!
//! `sending` means that nothing has reached the SMTP server, `handing_over` that it may have. A mail is handed over under
//! a lease by the database's clock, and each claim has a fence, a number of its own.

mod purge;

pub(crate) use purge::run_retention;

use std::time::Duration;

use idempotency::dedup;
use pg::{Columns as _, Error, Migration, Pool, Schema, write_opt};
use uuid::Uuid;

const MIGRATIONS: &[Migration] = &[
    ("V1__create_mails", include_str!("../migrations/V1__create_mails.sql")),
    ("V2__lease_mails", include_str!("../migrations/V2__lease_mails.sql")),
];

/// Every table that this service has.
pub(crate) const SCHEMAS: &[Schema] = &[("dedup", dedup::MIGRATIONS), ("email_consumer", MIGRATIONS)];

/// The last part reads the row as it was before this statement. A row that somebody else has just inserted is not there
/// yet, which means that it is held.
const CLAIM: &str = "\
-- claim()
WITH claimed AS (
    INSERT INTO mails AS mail (event_id, order_id, tenant, kind, message_id, state, handovers, fence, lease_until)
    VALUES ($1, $2, $3, $4, $5, 'handing_over', 1, 1, clock_timestamp() + make_interval(secs => $6))
    ON CONFLICT (event_id) DO UPDATE
    SET state = 'handing_over', attempts = mail.attempts + 1, handovers = mail.handovers + 1,
        fence = mail.fence + 1, lease_until = clock_timestamp() + make_interval(secs => $6)
    WHERE mail.state = 'sending'
        OR mail.state = 'handing_over' AND mail.handovers < $7
            AND (mail.lease_until IS NULL OR mail.lease_until <= clock_timestamp())
    RETURNING handovers, fence)
SELECT 'claimed' AS outcome, handovers, fence FROM claimed
UNION ALL
SELECT CASE WHEN state = 'sent' THEN 'sent'
            WHEN handovers >= $7 AND (lease_until IS NULL OR lease_until <= clock_timestamp()) THEN 'exhausted'
            ELSE 'held' END,
    handovers, fence
FROM mails WHERE event_id = $1 AND NOT EXISTS (SELECT FROM claimed)";

const RENEW: &str = "\
-- renew()
UPDATE mails SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE event_id = $1 AND fence = $2 AND state = 'handing_over'
RETURNING fence";

const END_UNSENT: &str = "\
-- end_unsent()
UPDATE mails SET lease_until = NULL, handovers = handovers - 1,
    state = CASE WHEN handovers = 1 THEN 'sending' ELSE 'handing_over' END
WHERE event_id = $1 AND fence = $2 AND state = 'handing_over'";

const END_UNKNOWN: &str = "\
-- end_unknown()
UPDATE mails SET lease_until = NULL WHERE event_id = $1 AND fence = $2 AND state = 'handing_over'";

/// Without the fence: that the server has the mail is true whoever holds the lease by now. The second row is what the
/// release before this one looks for.
const RECORD_SENT: &str = "\
-- record_sent()
WITH sent AS (
    UPDATE mails SET state = 'sent', sent_at = now(), lease_until = NULL
    WHERE event_id = $1 AND state = 'handing_over'
    RETURNING event_id)
INSERT INTO processed_events (consumer, event_id)
SELECT 'email-consumer', event_id FROM sent
ON CONFLICT DO NOTHING";

/// A mail that is to be sent.
pub(crate) struct NewMail {
    /// The event that it tells about.
    pub(crate) event_id: Uuid,
    /// The order of that event.
    pub(crate) order_id: Uuid,
    /// Whose order it is.
    pub(crate) tenant: String,
    /// What it says about the order.
    pub(crate) kind: &'static str,
    /// Its identity.
    pub(crate) message_id: String,
}

/// What became of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The mail is the caller's for the length of the lease, and the row says that the SMTP server may have it.
    Claimed {
        /// How often it was handed over without being refused, this time included. After the first time, the customer
        /// may get it twice.
        handovers: i32,
        /// The number of this claim.
        fence: i64,
    },
    /// The SMTP server has accepted it before.
    Sent,
    /// Another claim holds it.
    Held,
    /// It was handed over this often, each time without an answer.
    Exhausted(i32),
}

/// Claims a mail and marks it as being handed over, in one statement. After `max_handovers` without an answer there is no
/// further claim.
pub(crate) async fn claim(
    pool: &Pool,
    mail: &NewMail,
    lease: Duration,
    max_handovers: i32,
) -> Result<Claim, Error> {
    let row = write_opt(
        pool,
        "claim_mail",
        CLAIM,
        &[
            &mail.event_id,
            &mail.order_id,
            &mail.tenant,
            &mail.kind,
            &mail.message_id,
            &lease.as_secs_f64(),
            &max_handovers,
        ],
    )
    .await?;
    let Some(row) = row else { return Ok(Claim::Held) };
    let (handovers, fence) = (row.column("handovers")?, row.column("fence")?);
    Ok(match row.column("outcome")? {
        "claimed" => Claim::Claimed { handovers, fence },
        "sent" => Claim::Sent,
        "exhausted" => Claim::Exhausted(handovers),
        _ => Claim::Held,
    })
}

/// Makes the lease last for its whole length again. Returns `false` when another claim has it.
pub(crate) async fn renew(pool: &Pool, event_id: Uuid, fence: i64, lease: Duration) -> Result<bool, Error> {
    let row = write_opt(pool, "renew_lease", RENEW, &[&event_id, &fence, &lease.as_secs_f64()]).await?;
    Ok(row.is_some())
}

/// Ends a lease: the SMTP server does not have the mail.
pub(crate) async fn end_unsent(pool: &Pool, event_id: Uuid, fence: i64) -> Result<(), Error> {
    write_opt(pool, "end_unsent", END_UNSENT, &[&event_id, &fence]).await.map(drop)
}

/// Ends a lease: nobody knows whether the SMTP server has the mail.
pub(crate) async fn end_unknown(pool: &Pool, event_id: Uuid, fence: i64) -> Result<(), Error> {
    write_opt(pool, "end_unknown", END_UNKNOWN, &[&event_id, &fence]).await.map(drop)
}

/// Records that the SMTP server accepted the mail, and with it that the event is done.
pub(crate) async fn record_sent(pool: &Pool, event_id: Uuid) -> Result<(), Error> {
    write_opt(pool, "mail_sent", RECORD_SENT, &[&event_id]).await.map(drop)
}
