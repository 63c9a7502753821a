//! An SMTP server that takes one mail at a time: a mail server with a known capacity.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

/// The server. It ends when it is dropped.
pub(super) struct SlowSmtp {
    pub(super) port: u16,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    /// Held while a mail is taken.
    turn: tokio::sync::Mutex<()>,
    each: Duration,
    /// When the mails of each recipient were accepted.
    accepted: Mutex<HashMap<String, Vec<Instant>>>,
}

impl SlowSmtp {
    /// Starts a server that needs this long for each mail.
    pub(super) async fn start(each: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State { turn: tokio::sync::Mutex::default(), each, accepted: Mutex::default() });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { port, state, accepting: accepting.abort_handle() })
    }

    /// Returns when the mails of each recipient were accepted.
    pub(super) fn accepted(&self) -> HashMap<String, Vec<Instant>> {
        self.state.accepted.lock().expect("no panic under this lock").clone()
    }
}

impl Drop for SlowSmtp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    async fn take(&self, recipient: &str) {
        let turn = self.turn.lock().await;
        sleep(self.each).await;
        let mut accepted = self.accepted.lock().expect("no panic under this lock");
        accepted.entry(recipient.to_owned()).or_default().push(Instant::now());
        drop(accepted);
        drop(turn);
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 slow\r\n").await?;
    let (mut line, mut recipient, mut in_data) = (String::new(), String::new(), false);
    while stream.read_line(&mut line).await? > 0 {
        let command = line.trim_end();
        if in_data && command == "." {
            in_data = false;
            state.take(&recipient).await;
            stream.write_all(b"250 taken\r\n").await?;
        } else if command == "DATA" && !in_data {
            in_data = true;
            stream.write_all(b"354 go on\r\n").await?;
        } else if !in_data {
            if let Some(address) = command.strip_prefix("RCPT TO:<") {
                recipient = address.split('>').next().unwrap_or_default().to_owned();
            }
            stream.write_all(b"250 ok\r\n").await?;
        }
        line.clear();
    }
    Ok(())
}
