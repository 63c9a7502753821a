//! A scripted SMTP server, for answers that the real server of the test run cannot give.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::watch,
};

use crate::listener::Listener;

/// A server with scripted answers. After the end of a script, it accepts the command.
pub(crate) struct SmtpStub {
    listener: Listener,
    state: Arc<State>,
}

/// A command with scripted answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Not a command: the first text of the server.
    Greeting,
    Mail,
    Rcpt,
}

struct State {
    script: Mutex<VecDeque<(Command, String)>>,
    /// Number of accepted mails, also without an answer to the client.
    taken: watch::Sender<u32>,
    /// Parts of the addresses whose mails are accepted without an answer.
    held: watch::Sender<Option<String>>,
    /// Part of an address, and the answer to each RCPT for it.
    refused: Mutex<Option<(String, String)>>,
    /// Time for each mail; one mail is accepted at a time.
    pace: tokio::sync::Mutex<Duration>,
}

impl SmtpStub {
    /// Starts a server that answers RCPT with these texts, one after the other.
    pub(crate) async fn start(answers: &[&str]) -> Self {
        let script: Vec<_> = answers.iter().map(|answer| (Command::Rcpt, *answer)).collect();
        Self::scripted(&script).await
    }

    /// Starts a server with these answers to these commands.
    pub(crate) async fn scripted(script: &[(Command, &str)]) -> Self {
        let script = script.iter().map(|(command, answer)| (*command, (*answer).to_owned())).collect();
        let state = Arc::new(State {
            script: Mutex::new(script),
            taken: watch::Sender::new(0),
            held: watch::Sender::new(None),
            refused: Mutex::default(),
            pace: tokio::sync::Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let listener = Listener::start(move |stream| serve(stream, Arc::clone(&shared))).await;
        Self { listener, state }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.addr
    }

    /// Returns the number of accepted mails.
    pub(crate) fn taken(&self) -> u32 {
        *self.state.taken.borrow()
    }

    /// Holds back the answer to mails for this recipient.
    pub(crate) fn hold(&self, recipient: &str) {
        self.state.held.send_replace(Some(recipient.to_owned()));
    }

    /// Answers every RCPT for this recipient with this.
    pub(crate) fn refuse(&self, recipient: &str, answer: &str) {
        *self.state.refused.lock().unwrap() = Some((recipient.to_owned(), answer.to_owned()));
    }

    /// Accepts one mail at a time, and takes this long for it.
    pub(crate) async fn slow_down(&self, each: Duration) {
        *self.state.pace.lock().await = each;
    }

    /// Refuses no recipient any more.
    pub(crate) fn accept_all(&self) {
        *self.state.refused.lock().unwrap() = None;
    }

    /// Sends every answer that was held back.
    pub(crate) fn release(&self) {
        self.state.held.send_replace(None);
    }
}

impl State {
    fn answer_to(&self, command: Command) -> Option<String> {
        let mut script = self.script.lock().unwrap();
        let index = script.iter().position(|(scripted, _)| *scripted == command)?;
        script.remove(index).map(|(_, answer)| answer)
    }

    fn refusal_of(&self, command: &str) -> Option<String> {
        let refused = self.refused.lock().unwrap();
        refused
            .as_ref()
            .filter(|(recipient, _)| command.contains(recipient))
            .map(|(_, answer)| answer.clone())
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let greeting = state.answer_to(Command::Greeting).unwrap_or_else(|| "220 stub".to_owned());
    stream.write_all(format!("{greeting}\r\n").as_bytes()).await?;
    let mut in_data = false;
    let (mut line, mut recipient) = (String::new(), String::new());
    while stream.read_line(&mut line).await? > 0 {
        let command = line.trim_end();
        let answer = if in_data && command != "." {
            None
        } else if in_data {
            in_data = false;
            let pace = state.pace.lock().await;
            tokio::time::sleep(*pace).await;
            drop(pace);
            state.taken.send_modify(|taken| *taken += 1);
            let is_held = |held: &Option<String>| held.as_ref().is_some_and(|held| recipient.contains(held));
            state.held.subscribe().wait_for(|held| !is_held(held)).await.unwrap();
            Some("250 taken".to_owned())
        } else if command == "DATA" {
            in_data = true;
            Some("354 go on".to_owned())
        } else if command.starts_with("RCPT") {
            recipient = command.to_owned();
            state
                .refusal_of(command)
                .or_else(|| state.answer_to(Command::Rcpt))
                .or_else(|| Some("250 ok".to_owned()))
        } else if command.starts_with("MAIL") {
            state.answer_to(Command::Mail).or_else(|| Some("250 ok".to_owned()))
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
