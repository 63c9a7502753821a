//! Handles one event: reads it, and sends its e-mail.
//!
//! The steps that can be repeated safely come first: decode the event, put the link, render the e-mail, connect. Then the e-mail is
//! [sent once](crate::handover).

use std::{sync::Arc, time::Instant};

use chrono::Utc;
use consumer::{Handler, Message, Outcome as EventOutcome};
use events::{
    Decoder, Event as _,
    orders::{OrderConfirmed, OrderData, OrderLine, OrderPlaced, OrderRejected},
};
use money::Money;

use crate::{
    domain::{
        link_code::LinkCodeKey,
        order_email::{InvalidOrder, Line, OrderEmail, Outcome},
    },
    error::{CODES, Error},
    handover::{Handovers, ReadyMail},
    links::Links,
    metrics,
    shedding::Shedding,
    smtp::Mailer,
    store::NewMail,
};

pub(crate) struct MailHandler {
    pub(crate) decoder: Decoder,
    pub(crate) link_codes: LinkCodeKey,
    pub(crate) links: Links,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) handovers: Handovers,
    pub(crate) shedding: Arc<Shedding>,
}

impl Handler for MailHandler {
    const DEAD_LETTER_CODES: &'static [&'static str] = CODES;

    async fn handle(&self, message: &Message) -> EventOutcome {
        self.process(message).await.unwrap_or_else(Error::outcome)
    }
}

impl MailHandler {
    async fn process(&self, message: &Message) -> Result<EventOutcome, Error> {
        let event_id = message.envelope.event_id;
        let email = match decode(&self.decoder, message).await? {
            Decoded::Email(email) => email,
            Decoded::Ignored(reason) => {
                metrics::IGNORED.with_label_values(&[reason]).inc();
                return Ok(EventOutcome::Ignored);
            }
        };
        let code = self.link_codes.code(email.order_id);
        let link = self.links.put(&email.tenant, &code, &email.tracking_url).await?;
        fail_point::hit("email.link_put");
        let domain = self.mailer.domain();
        let (order_id, kind) = (email.order_id, email.outcome.kind());
        let ready = ReadyMail {
            message: self.mailer.compose(&email.recipient, email.render(&link, domain)?)?,
            mail: NewMail {
                event_id,
                order_id: Some(order_id),
                tenant: email.tenant.as_str().to_owned(),
                kind,
                message_id: email.message_id(domain),
            },
            occurred_at: message.envelope.occurred_at,
            replays: message.replays,
        };
        let occurred_at = message.envelope.occurred_at;
        if self.send(ready).await? {
            // The clock of the producer may be ahead.
            self.shedding.order_mail_sent((Utc::now() - occurred_at).to_std().unwrap_or_default());
            tracing::info!(%event_id, %order_id, kind, "mail sent");
        } else {
            metrics::REPEATED.inc();
        }
        Ok(EventOutcome::Done)
    }

    async fn send(&self, ready: ReadyMail) -> Result<bool, Error> {
        let started = Instant::now();
        let sent = match self.mailer.connect().await {
            Ok(connection) => self.handovers.run(ready, connection).await,
            Err(error) => Err(error.into()),
        };
        self.shedding.learn(&sent, started);
        sent
    }
}

enum Decoded {
    Email(OrderEmail),
    /// The event needs no e-mail, for this reason.
    Ignored(&'static str),
}

/// Decodes an event. Ignores unknown types: producers add types before consumers know them.
async fn decode(decoder: &Decoder, message: &Message) -> Result<Decoded, Error> {
    let event_type = message.envelope.event_type.as_str();
    if event_type == OrderConfirmed::event_type().name {
        let event: OrderConfirmed = decoder.decode(&message.payload).await?;
        return Ok(Decoded::Email(order_email(event.order, event.tracking_url, Outcome::Confirmed)?));
    }
    if event_type == OrderRejected::event_type().name {
        let event: OrderRejected = decoder.decode(&message.payload).await?;
        let outcome = Outcome::Rejected { reason: event.reason };
        return Ok(Decoded::Email(order_email(event.order, event.tracking_url, outcome)?));
    }
    let is_known = event_type == OrderPlaced::event_type().name;
    Ok(Decoded::Ignored(if is_known { "no_mail" } else { "unknown_type" }))
}

fn order_email(order: OrderData, tracking_url: String, outcome: Outcome) -> Result<OrderEmail, InvalidOrder> {
    let currency = order.currency.parse()?;
    let line =
        |line: OrderLine| Line::new(line.name, line.quantity, Money::new(line.unit_price_minor, currency));
    Ok(OrderEmail {
        order_id: order.order_id,
        tenant: order.tenant.try_into()?,
        recipient: order.customer_email,
        outcome,
        lines: order.lines.into_iter().map(line).collect::<Result<_, _>>()?,
        total: Money::new(order.total_minor, currency),
        tracking_url,
    })
}
