//! All SQL of this service. The table `mails` contains the state of each mail.
//!
//! ```text
//! (none) -> handing_over -> sent
//!             |      ^
//!    not handed over |
//!             v      |
//!            sending-+
//! ```
//!
//! `sending`: the SMTP server does not have the mail. `handing_over`: the server may have it. A mail is sent under a lease by the clock of the
//! database. Each claim has its own fencing token.

use std::time::Duration;

use futures::future;
use idempotency::{
    Table,
    dedup::{self, Partitions},
};
use pg::{Columns as _, Error, Migration, Pool, Schema, run_tx, write_opt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MIGRATIONS: &[Migration] = &[
    ("V1__create_mails", include_str!("../migrations/V1__create_mails.sql")),
    ("V2__lease_mails", include_str!("../migrations/V2__lease_mails.sql")),
    ("V3__mail_promotions", include_str!("../migrations/V3__mail_promotions.sql")),
    ("V4__partition_mails_by_day", include_str!("../migrations/V4__partition_mails_by_day.sql")),
];

/// All schemas in the database of the service.
pub(crate) const SCHEMAS: &[Schema] =
    &[("dedup", dedup::MIGRATIONS), ("consumer", consumer::MIGRATIONS), ("email_consumer", MIGRATIONS)];

/// The last part reads the row as it was before this statement. A row that another process has just inserted is not visible yet; then the
/// statement returns no row, and the mail is held.
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

/// Without the fencing token: the server has the mail, also if another process holds the lease by now. The previous release reads the row in
/// `processed_events`.
const RECORD_SENT: &str = "\
-- record_sent()
WITH sent AS (
    UPDATE mails SET state = 'sent', sent_at = now(), lease_until = NULL
    WHERE event_id = $1 AND state = 'handing_over'
    RETURNING event_id)
INSERT INTO processed_events (consumer, event_id)
SELECT 'email-consumer', event_id FROM sent
ON CONFLICT DO NOTHING";

const PURGE_MAILS: &str = "\
-- purge_mails()
DELETE FROM mails_default WHERE event_id = ANY(ARRAY(
    SELECT event_id FROM mails_default
    WHERE first_attempt_at <= now() - make_interval(secs => $2) LIMIT $1 FOR UPDATE SKIP LOCKED))";

pub(crate) struct NewMail {
    pub(crate) event_id: Uuid,
    /// `None`: a promotion.
    pub(crate) order_id: Option<Uuid>,
    pub(crate) tenant: String,
    /// The outcome of the order, or the kind of promotion.
    pub(crate) kind: &'static str,
    pub(crate) message_id: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The caller holds the lease. The row says that the SMTP server may have the mail.
    Claimed {
        /// Number of attempts that were not refused, including this one. From the second on, the customer may get the mail twice.
        handovers: i32,
        /// Fencing token of this claim.
        fence: i64,
    },
    /// The SMTP server accepted the mail before.
    Sent,
    /// Another process holds the lease.
    Held,
    /// All allowed attempts ended without an answer; their number.
    Exhausted(i32),
}

/// Claims a mail and marks it as `handing_over`, in one statement. After `max_handovers` attempts without an answer, it cannot be claimed.
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

/// Renews the lease for its whole length. Returns `false` if it is lost.
pub(crate) async fn renew(pool: &Pool, event_id: Uuid, fence: i64, lease: Duration) -> Result<bool, Error> {
    let row = write_opt(pool, "renew_lease", RENEW, &[&event_id, &fence, &lease.as_secs_f64()]).await?;
    Ok(row.is_some())
}

/// Ends a lease: the SMTP server does not have the mail.
pub(crate) async fn end_unsent(pool: &Pool, event_id: Uuid, fence: i64) -> Result<(), Error> {
    write_opt(pool, "end_unsent", END_UNSENT, &[&event_id, &fence]).await.map(drop)
}

/// Ends a lease: the SMTP server may have the mail.
pub(crate) async fn end_unknown(pool: &Pool, event_id: Uuid, fence: i64) -> Result<(), Error> {
    write_opt(pool, "end_unknown", END_UNKNOWN, &[&event_id, &fence]).await.map(drop)
}

/// Records that the SMTP server accepted the mail, and that its event is processed.
pub(crate) async fn record_sent(pool: &Pool, event_id: Uuid) -> Result<(), Error> {
    write_opt(pool, "mail_sent", RECORD_SENT, &[&event_id]).await.map(drop)
}

/// Drops the partitions of events that cannot be delivered again, and deletes such events whose ids are of no day, until `stop`.
pub(crate) async fn run_retention(pool: Pool, retention: Duration, stop: CancellationToken) {
    let (pool, seconds) = (&pool, retention.as_secs_f64());
    let mails = Partitions { table: "mails", storage: "fillfactor = 80", retention };
    let purge_mails = pg::run_retention("mails_default", stop.clone(), |limit| async move {
        run_tx(pool, "purge_mails", &(limit, seconds), |tx, (limit, seconds)| {
            Box::pin(async move { tx.execute(PURGE_MAILS, &[limit, seconds]).await })
        })
        .await
    });
    let purge_events = Table::ProcessedEvents { retention }.run_retention(pool.clone(), stop);
    tokio::select! {
        _ = future::join(purge_mails, purge_events) => {}
        () = mails.run(pool) => {}
        () = Partitions::processed_events(retention).run(pool) => {}
    }
}
