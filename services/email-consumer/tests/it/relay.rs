//! A mail relay with TLS and a login in front of the SMTP server of the test run. It answers the greeting, STARTTLS and AUTH, and forwards
//! all other commands.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use testkit::{ServerCertificate, endpoints};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use crate::listener::Listener;

/// Delay of a refused login.
const REFUSAL_DELAY: Duration = Duration::from_millis(1_500);

/// Encryption of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Implicit,
    Starttls,
    /// The relay does not offer STARTTLS, or an attacker removed the offer.
    Stripped,
    /// An attacker adds an answer after the one to STARTTLS.
    Injected,
}

/// A relay. It stops when this value is dropped.
pub(crate) struct Relay {
    listener: Listener,
    state: Arc<State>,
}

struct State {
    tls: Tls,
    acceptor: TlsAcceptor,
    /// The expected argument of `AUTH PLAIN`.
    token: String,
    /// Commands that arrived in plaintext.
    plaintext: Mutex<Vec<String>>,
    connections: Mutex<u32>,
    logins: Mutex<u32>,
    mails: Mutex<u32>,
}

impl Relay {
    /// Starts a relay that accepts this token of AUTH PLAIN (RFC 4616).
    pub(crate) async fn start(tls: Tls, server: &ServerCertificate, token: &str) -> Self {
        let state = Arc::new(State {
            tls,
            acceptor: server.acceptor(),
            token: token.to_owned(),
            plaintext: Mutex::default(),
            connections: Mutex::default(),
            logins: Mutex::default(),
            mails: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let listener = Listener::start(move |stream| {
            *shared.connections.lock().unwrap() += 1;
            serve(stream, Arc::clone(&shared))
        })
        .await;
        Self { listener, state }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.addr
    }

    /// Returns every command that arrived in plaintext, once each.
    pub(crate) fn plaintext(&self) -> Vec<String> {
        let mut commands = self.state.plaintext.lock().unwrap().clone();
        commands.sort();
        commands.dedup();
        commands
    }

    /// Returns the number of connections.
    pub(crate) fn connections(&self) -> u32 {
        *self.state.connections.lock().unwrap()
    }

    /// Returns the number of logins, also refused ones.
    pub(crate) fn logins(&self) -> u32 {
        *self.state.logins.lock().unwrap()
    }

    /// Returns the number of mails that were started.
    pub(crate) fn mails(&self) -> u32 {
        *self.state.mails.lock().unwrap()
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    if state.tls == Tls::Implicit {
        let mut stream = BufReader::new(state.acceptor.accept(stream).await?);
        say(&mut stream, "220 relay").await?;
        return relay(stream, &state).await;
    }
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 relay").await?;
    loop {
        let command = hear(&mut stream).await?;
        if command.is_empty() {
            return Ok(());
        }
        state.plaintext.lock().unwrap().push(command.clone());
        let answer = match command.split_whitespace().next() {
            Some("EHLO") if state.tls == Tls::Stripped => "250-relay\r\n250 8BITMIME",
            Some("EHLO") => "250-relay\r\n250 STARTTLS",
            Some("STARTTLS") => break,
            // A client without encryption could send its mail.
            _ => "250 ok",
        };
        say(&mut stream, answer).await?;
    }
    let injected = if state.tls == Tls::Injected { "\r\n250-relay\r\n250 AUTH PLAIN LOGIN" } else { "" };
    say(&mut stream, &format!("220 go on{injected}")).await?;
    relay(BufReader::new(state.acceptor.accept(stream.into_inner()).await?), &state).await
}

/// Continues after the greeting, on an encrypted connection.
async fn relay<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: BufReader<S>,
    state: &State,
) -> std::io::Result<()> {
    let mut let_in = false;
    let first = loop {
        let command = hear(&mut client).await?;
        let answer = match command.split_whitespace().next() {
            None => return Ok(()),
            Some("EHLO") => "250-relay\r\n250 AUTH LOGIN PLAIN",
            Some("AUTH") => {
                *state.logins.lock().unwrap() += 1;
                let_in = command == format!("AUTH PLAIN {}", state.token);
                if let_in {
                    "235 2.7.0 ok"
                } else {
                    // Servers delay refusals against guessing. A readiness check has timed out by then.
                    tokio::time::sleep(REFUSAL_DELAY).await;
                    "535 5.7.8 wrong user or password"
                }
            }
            Some("MAIL") if !let_in => "530 5.7.0 authentication required",
            Some("MAIL") => {
                *state.mails.lock().unwrap() += 1;
                break command;
            }
            _ => "250 ok",
        };
        say(&mut client, answer).await?;
    };
    let address = (endpoints().smtp_host.as_str(), endpoints().smtp_port);
    let mut server = BufReader::new(TcpStream::connect(address).await?);
    hear(&mut server).await?;
    say(&mut server, "HELO relay").await?;
    hear(&mut server).await?;
    say(&mut server, &first).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

async fn say<S: AsyncWrite + AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
    text: &str,
) -> std::io::Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    stream.flush().await
}
