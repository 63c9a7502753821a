//! SMTP client for benchmarks and tests: sends mails one after another on one connection.

use std::time::Duration;

use anyhow::Context as _;
use lettre::{
    address::Envelope,
    transport::smtp::{client::AsyncSmtpConnection, extension::ClientId},
};
use tokio::{net::TcpStream, time::timeout};

/// Limit for one mail.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection without TLS.
pub struct Smtp(AsyncSmtpConnection);

impl Smtp {
    /// Connects to `host:port`.
    pub async fn connect(server: &str) -> anyhow::Result<Self> {
        let connect = async {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let hello = ClientId::Domain("muster.local".to_owned());
            anyhow::Ok(Self(AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?))
        };
        timeout(TIMEOUT, connect)
            .await
            .context("timeout")
            .flatten()
            .context("no connection to the mail server")
    }

    /// Sends a mail. `mail` is its source, with lines that end with CRLF.
    pub async fn send(&mut self, from: &str, to: &str, mail: &str) -> anyhow::Result<()> {
        let envelope = Envelope::new(Some(from.parse()?), vec![to.parse()?])?;
        timeout(TIMEOUT, self.0.send(&envelope, mail.as_bytes()))
            .await
            .context("no answer of the mail server")??;
        Ok(())
    }
}
