//! An SMTP server that answers as a test wants: what the real one of a test run cannot be made to do.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// A server whose answers to RCPT are scripted; when the script is over it takes everything.
pub(crate) struct SmtpStub {
    pub(crate) addr: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

struct State {
    script: Mutex<VecDeque<String>>,
    /// Mails that are there, whether or not the client has heard of it.
    taken: watch::Sender<u32>,
    /// Whether the answer to a mail that is there is kept back.
    silent: watch::Sender<bool>,
}

impl SmtpStub {
    /// Starts a server that answers RCPT with these, one after the other.
    pub(crate) async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Mutex::new(answers.iter().map(|answer| (*answer).to_owned()).collect()),
            taken: watch::Sender::new(0),
            silent: watch::Sender::new(false),
        });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        })
        .abort_handle();
        Self { addr, state, accepting }
    }

    /// Returns how many mails it has taken.
    pub(crate) fn taken(&self) -> u32 {
        *self.state.taken.borrow()
    }

    /// Keeps back, or no longer, the answer to mails that it has taken.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.state.silent.send_replace(silent);
    }
}

impl Drop for SmtpStub {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 stub\r\n").await?;
    let mut in_data = false;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let command = line.trim_end();
        let answer = if in_data && command != "." {
            None
        } else if in_data {
            in_data = false;
            state.taken.send_modify(|taken| *taken += 1);
            state.silent.subscribe().wait_for(|silent| !silent).await.unwrap();
            Some("250 taken".to_owned())
        } else if command == "DATA" {
            in_data = true;
            Some("354 go on".to_owned())
        } else if command.starts_with("RCPT") {
            state.script.lock().unwrap().pop_front().or_else(|| Some("250 ok".to_owned()))
        } else {
            Some("250 ok".to_owned())
        };
        if let Some(answer) = answer {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        line.clear();
    }
    Ok(())
}
