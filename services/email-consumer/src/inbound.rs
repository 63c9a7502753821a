//! What arrives: events of orders, most of which call for a mail.

use consumer::Message;
use events::{
    Decoder, Event,
    orders::{OrderConfirmed, OrderLine, OrderPlaced, OrderRejected},
};
use money::{Currency, Money};

use crate::{
    domain::notice::{InvalidNotice, Line, Notice, Verdict},
    error::Error,
};

/// An event, as far as this service cares.
pub(crate) enum Inbound {
    /// The customer is to be told.
    Notice(Notice),
    /// Nothing is to be done, for this reason.
    Ignored(&'static str),
}

/// Reads an event. A type that is not known here is for somebody else: producers add types before consumers know them.
pub(crate) async fn decode(decoder: &Decoder, message: &Message) -> Result<Inbound, Error> {
    let event_type = message.envelope.event_type.as_str();
    if event_type == OrderConfirmed::event_type().name {
        let event: OrderConfirmed = decoder.decode(&message.payload).await?;
        return Ok(Inbound::Notice(confirmed(event)?));
    }
    if event_type == OrderRejected::event_type().name {
        let event: OrderRejected = decoder.decode(&message.payload).await?;
        return Ok(Inbound::Notice(rejected(event)?));
    }
    let known = event_type == OrderPlaced::event_type().name;
    Ok(Inbound::Ignored(if known { "no_mail" } else { "unknown_type" }))
}

fn confirmed(event: OrderConfirmed) -> Result<Notice, InvalidNotice> {
    let currency = event.currency.parse()?;
    Ok(Notice {
        order_id: event.order_id,
        tenant: event.tenant.try_into()?,
        recipient: event.customer_email,
        verdict: Verdict::Confirmed,
        lines: lines(event.lines, currency)?,
        total: Money::new(event.total_minor, currency),
        tracking_url: event.tracking_url,
    })
}

fn rejected(event: OrderRejected) -> Result<Notice, InvalidNotice> {
    let currency = event.currency.parse()?;
    Ok(Notice {
        order_id: event.order_id,
        tenant: event.tenant.try_into()?,
        recipient: event.customer_email,
        verdict: Verdict::Rejected { reason: event.reason },
        lines: lines(event.lines, currency)?,
        total: Money::new(event.total_minor, currency),
        tracking_url: event.tracking_url,
    })
}

fn lines(lines: Vec<OrderLine>, currency: Currency) -> Result<Vec<Line>, InvalidNotice> {
    let line =
        |line: OrderLine| Line::new(line.name, line.quantity, Money::new(line.unit_price_minor, currency));
    lines.into_iter().map(line).collect()
}
