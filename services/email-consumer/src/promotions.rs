//! Handles one promotion: sends its mail at most once, and only while that makes no mail about an order wait.
//!
//! A promotion is worth no second attempt: if the SMTP server does not accept it, it is dropped. It waits in its topic only while it cannot
//! be read or claimed, and no longer than it is valid. Each promotion ends in [`End`], which is counted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use consumer::{Handler, Message, Outcome};
use events::{Decoder, Event as _, promotions::CustomerLapsed};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    domain::win_back::{self, End, WinBack},
    error::Error,
    handover::{Handovers, ReadyMail},
    metrics,
    shedding::{self, Shedding},
    smtp::Mailer,
    store::NewMail,
};

/// No promotion is valid for longer (`expires_at` of its event); an older event is dropped without being read.
const LONGEST_VALIDITY: TimeDelta = TimeDelta::hours(1);

/// Maximum time that a promotion waits for a connection of the promotions. If none becomes free, the SMTP server does not take them.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct PromotionHandler {
    decoder: Decoder,
    mailer: Arc<Mailer>,
    handovers: Handovers,
    shedding: Arc<Shedding>,
    /// The connections that promotions may hold.
    connections: Semaphore,
    n_connections: u16,
}

impl Handler for PromotionHandler {
    const DEAD_LETTER_CODES: &'static [&'static str] = &[];

    async fn handle(&self, message: &Message) -> Outcome {
        let end = match self.process(message).await {
            Ok(end) => end,
            Err(error @ Error::Held) => return Outcome::Busy(error.to_string()),
            Err(error) if error.is_of_smtp() => {
                tracing::info!(event_id = %message.envelope.event_id, %error, "promotion dropped");
                End::Failed
            }
            Err(error) => match error.outcome() {
                Outcome::DeadLetter { code, .. } => {
                    tracing::warn!(event_id = %message.envelope.event_id, code, "promotion cannot be mailed");
                    End::Invalid
                }
                waits => return waits,
            },
        };
        metrics::PROMOTIONS.with_label_values(&[<&str>::from(end)]).inc();
        match end {
            End::Sent | End::Repeated => Outcome::Done,
            // Possible without an answer of the database.
            _ => Outcome::Ignored,
        }
    }
}

impl PromotionHandler {
    pub(crate) fn new(decoder: Decoder, handovers: Handovers, shedding: Arc<Shedding>) -> Self {
        let mailer = Arc::clone(&handovers.mailer);
        let n_connections = mailer.connections_for_promotions();
        let connections = Semaphore::new(n_connections.into());
        Self { decoder, mailer, handovers, shedding, connections, n_connections }
    }

    async fn process(&self, message: &Message) -> Result<End, Error> {
        let envelope = &message.envelope;
        if envelope.event_type != CustomerLapsed::event_type().name {
            return Ok(End::Ignored);
        }
        if Utc::now() - envelope.occurred_at > LONGEST_VALIDITY {
            return Ok(End::Expired);
        }
        let event: CustomerLapsed = self.decoder.decode(&message.payload).await?;
        let (tenant, expires_at) = (event.tenant.clone(), event.expires_at);
        let win_back = WinBack::new(event)?;
        let recipient = win_back.recipient().to_owned();
        let domain = self.mailer.domain();
        let mail = NewMail {
            event_id: envelope.event_id,
            order_id: None,
            tenant,
            kind: win_back::KIND,
            message_id: WinBack::message_id(envelope.event_id, domain),
        };
        let rendered = win_back.render(envelope.event_id, domain)?;
        let ready = ReadyMail {
            message: self.mailer.compose(&recipient, rendered)?,
            mail,
            occurred_at: envelope.occurred_at,
            replays: message.replays,
        };
        let Ok(turn) = timeout(CONNECTION_WAIT, self.connections.acquire()).await else {
            return Ok(End::Dropped);
        };
        let turn = turn.expect("the semaphore is never closed");
        // Decided last, with all that mails have experienced until now.
        if Utc::now() >= expires_at {
            return Ok(End::Expired);
        }
        match self.shed(&ready) {
            Some(end) => Ok(end),
            None => self.send(ready, turn).await,
        }
    }

    /// Returns how the promotion ends if it is not sent.
    fn shed(&self, ready: &ReadyMail) -> Option<End> {
        let pressure = self.shedding.pressure(self.mailer.in_use());
        metrics::PRESSURE.set(pressure);
        let n_held = usize::from(self.n_connections) - self.connections.available_permits();
        let may_hold = usize::from(shedding::connections(self.n_connections, pressure));
        if pressure >= 1.0 {
            Some(End::Dropped)
        } else if n_held > may_hold || !shedding::is_kept(ready.mail.event_id, pressure) {
            Some(End::SampledOut)
        } else {
            None
        }
    }

    async fn send(&self, ready: ReadyMail, _turn: SemaphorePermit<'_>) -> Result<End, Error> {
        let started = Instant::now();
        let sent = match self.mailer.connect_if_spare().await {
            Ok(Some(connection)) => self.handovers.run(ready, connection).await,
            Ok(None) => return Ok(End::Dropped),
            Err(error) => Err(error.into()),
        };
        self.shedding.learn(&sent, started);
        Ok(if sent? { End::Sent } else { End::Repeated })
    }
}
