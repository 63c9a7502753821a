//! The exchange of one mail, phase by phase.

use std::{
    future::Future,
    iter::{from_fn, once},
    pin::pin,
};

use lettre::{
    Message,
    transport::smtp::{
        Error as LettreError,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailParameter},
    },
};
use tokio::{
    sync::oneshot,
    time::{Duration, sleep, timeout},
};

use super::{Error, limits::Limits, reply::Phase};
use crate::handover::Lease;

/// Hands one message over. Errors other than `OutcomeUnknown` mean that the server does not have it.
pub(super) async fn exchange(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    limits: &Limits,
    lease: &Lease,
) -> Result<(), Error> {
    let bytes = message.formatted();
    tokio::select! {
        biased;
        () = lease.lost() => return Err(Error::LeaseLost),
        announced = announce(connection, message, limits) => announced?,
    }
    // The text takes no time, so this is the last moment at which to find that the process had been stopped for long.
    if !lease.is_held() {
        return Err(Error::LeaseLost);
    }
    transfer(connection, bytes, limits, lease).await
}

/// MAIL, RCPT and DATA.
async fn announce(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    limits: &Limits,
) -> Result<(), Error> {
    let envelope = message.envelope();
    let mut parameters = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Error::UnsupportedAddress);
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let mail = Mail::new(envelope.from().cloned(), parameters);
    within(limits.mail(), Phase::Mail, connection.command(mail)).await?;
    for recipient in envelope.to() {
        let rcpt = Rcpt::new(recipient.clone(), Vec::new());
        within(limits.rcpt(), Phase::Rcpt, connection.command(rcpt)).await?;
    }
    within(limits.data(), Phase::Data, connection.command(Data)).await
}

/// Runs one phase in which the server does not have the mail yet.
pub(super) async fn within<T>(
    limit: Duration,
    phase: Phase,
    operation: impl Future<Output = Result<T, LettreError>>,
) -> Result<(), Error> {
    match timeout(limit, operation).await {
        Ok(answer) => answer.map(drop).map_err(|error| Error::before_end(phase, &error)),
        Err(_) => Err(Error::Unavailable("it does not answer in time")),
    }
}

/// Sends the text and the final dot, and waits for the verdict. lettre asks for the next part when it has written one, and
/// writes the dot when there is none: that is where the doubt begins.
async fn transfer(
    connection: &mut AsyncSmtpConnection,
    bytes: Vec<u8>,
    limits: &Limits,
    lease: &Lease,
) -> Result<(), Error> {
    let (at_dot, mut dot) = oneshot::channel();
    let mut at_dot = Some(at_dot);
    let parts = once(bytes).chain(from_fn(move || {
        at_dot.take().map(|at_dot| at_dot.send(()));
        None
    }));
    let mut sending = pin!(connection.message_iter(parts));
    tokio::select! {
        biased;
        () = lease.lost() => return Err(Error::LeaseLost),
        answer = &mut sending => return verdict(answer, dot.try_recv().is_ok()),
        _ = &mut dot => {}
        () = sleep(limits.transfer()) => return Err(Error::Unavailable("it does not accept the mail in time")),
    }
    match timeout(limits.after_dot(), sending).await {
        Ok(answer) => verdict(answer, true),
        Err(_) => Err(Error::OutcomeUnknown("it did not answer in time")),
    }
}

fn verdict<T>(answer: Result<T, LettreError>, dot_was_sent: bool) -> Result<(), Error> {
    let classify =
        |error| if dot_was_sent { Error::after_end(&error) } else { Error::before_end(Phase::Data, &error) };
    answer.map(drop).map_err(classify)
}
