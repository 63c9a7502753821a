//! TLS for SMTP: STARTTLS (RFC 3207), and an encrypted connection in the form that lettre accepts.
//!
//! lettre's own STARTTLS keeps plaintext that arrives after the answer to STARTTLS, and reads it as answers on the secured connection. An
//! attacker on the network can use that to answer in place of the server. Here, such plaintext ends the connection. The capabilities from
//! the plaintext part are discarded; the secured connection starts with a new EHLO (section 4.2).

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use lettre::transport::smtp::{
    client::AsyncTokioStream,
    commands::{Ehlo, Starttls},
    extension::{ClientId, Extension, ServerInfo},
    response::Response,
};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
        ReadBuf,
    },
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::Error;

const MAX_ANSWER: u64 = 16 * 1024;

/// Reads the greeting and sends EHLO. Returns when the client can send STARTTLS.
pub(super) async fn greet(stream: TcpStream, hello: &ClientId) -> Result<BufReader<TcpStream>, Error> {
    let mut stream = BufReader::new(stream);
    answer(&mut stream).await?;
    let capabilities = ask(&mut stream, &Ehlo::new(hello.clone()).to_string()).await?;
    let capabilities = ServerInfo::from_response(&capabilities).or(Err(NOT_SMTP))?;
    if !capabilities.supports_feature(Extension::StartTls) {
        return Err(Error::Insecure(
            "it offers no STARTTLS; if it expects TLS from the first byte on, set SMTP_TLS=implicit",
        ));
    }
    Ok(stream)
}

/// Sends STARTTLS. Returns the connection on which the TLS handshake follows.
pub(super) async fn begin(mut stream: BufReader<TcpStream>) -> Result<TcpStream, Error> {
    let ready = ask(&mut stream, &Starttls.to_string()).await?;
    if !ready.has_code(220) {
        return Err(NOT_SMTP);
    }
    if !stream.buffer().is_empty() {
        return Err(Error::Insecure(
            "plaintext follows the answer to STARTTLS; this is a sign of a man-in-the-middle attack",
        ));
    }
    Ok(stream.into_inner())
}

const NOT_SMTP: Error = Error::Unavailable("its answer is not understood");

async fn ask(stream: &mut BufReader<TcpStream>, command: &str) -> Result<Response, Error> {
    stream.write_all(command.as_bytes()).await.or(Err(BROKEN))?;
    answer(stream).await
}

const BROKEN: Error = Error::Unavailable("the connection broke before it was secured");

/// Reads an answer (RFC 5321, section 4.2.1). Its last line has no hyphen after the code.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<Response, Error> {
    let mut stream = stream.take(MAX_ANSWER);
    let mut text = String::new();
    loop {
        let begin = text.len();
        if stream.read_line(&mut text).await.or(Err(BROKEN))? == 0 {
            return Err(BROKEN);
        }
        if text.as_bytes().get(begin + 3) != Some(&b'-') {
            break;
        }
    }
    let response: Response = text.parse().or(Err(NOT_SMTP))?;
    if response.is_positive() { Ok(response) } else { Err(Error::TurnedAway(response.code().into())) }
}

/// A TLS connection to a verified server.
#[derive(Debug)]
pub(super) struct Secured {
    tls: TlsStream<TcpStream>,
    /// Read first. lettre waits for a greeting, and after STARTTLS the server sends none.
    greeting: &'static [u8],
}

impl Secured {
    /// `greeting` is empty on a connection on which the server sends one.
    pub(super) fn new(tls: TlsStream<TcpStream>, greeting: &'static [u8]) -> Self {
        Self { tls, greeting }
    }
}

impl AsyncTokioStream for Secured {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tls.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.tls).poll_read(cx, buf);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
        buf.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
