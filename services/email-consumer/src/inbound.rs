//! What arrives: events of orders, most of which call for a mail.

use consumer::Message;
use events::{
    Decoder, Event,
    orders::{OrderConfirmed, OrderLine, OrderPlaced, OrderRejected},
};

use crate::{
    domain::{
        money::Currency,
        notice::{InvalidNotice, Line, Notice, Verdict},
    },
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
    Ok(Notice {
        order_id: event.order_id,
        tenant: event.tenant.try_into()?,
        recipient: event.customer_email,
        verdict: Verdict::Confirmed,
        lines: lines(event.lines)?,
        total_minor: event.total_minor,
        currency: Currency::new(event.currency)?,
        tracking_url: event.tracking_url,
    })
}

fn rejected(event: OrderRejected) -> Result<Notice, InvalidNotice> {
    Ok(Notice {
        order_id: event.order_id,
        tenant: event.tenant.try_into()?,
        recipient: event.customer_email,
        verdict: Verdict::Rejected { reason: event.reason },
        lines: lines(event.lines)?,
        total_minor: event.total_minor,
        currency: Currency::new(event.currency)?,
        tracking_url: event.tracking_url,
    })
}

fn lines(lines: Vec<OrderLine>) -> Result<Vec<Line>, InvalidNotice> {
    lines.into_iter().map(|line| Line::new(line.name, line.quantity, line.unit_price_minor)).collect()
}
