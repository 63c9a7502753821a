//! A bare SMTP client (RFC 5321): what a mail server can take when nobody thinks about the mail.

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::ports::authority;

/// How long the server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, on which mails go one after another.
pub(crate) struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    pub(crate) async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority(port)).await.context("no connection to the mail server")?;
        stream.set_nodelay(true)?;
        let mut smtp = Self { stream: BufReader::new(stream) };
        smtp.answer("the greeting", '2').await?;
        smtp.command("EHLO muster.local\r\n", '2').await?;
        Ok(smtp)
    }

    /// Hands a mail over. `mail` is the text with its headers, with lines that end in CRLF; none of them may be a lone dot.
    pub(crate) async fn send(&mut self, from: &str, to: &str, mail: &str) -> anyhow::Result<()> {
        self.command(&format!("MAIL FROM:<{from}>\r\n"), '2').await?;
        self.command(&format!("RCPT TO:<{to}>\r\n"), '2').await?;
        self.command("DATA\r\n", '3').await?;
        self.command(&format!("{mail}\r\n.\r\n"), '2').await
    }

    async fn command(&mut self, command: &str, class: char) -> anyhow::Result<()> {
        timeout(PATIENCE, self.stream.get_mut().write_all(command.as_bytes())).await.context("SMTP")??;
        self.answer(command.lines().next().unwrap_or_default(), class).await
    }

    /// Reads an answer of one line or several, whose code must begin with `class`.
    async fn answer(&mut self, to: &str, class: char) -> anyhow::Result<()> {
        loop {
            let mut line = String::new();
            timeout(PATIENCE, self.stream.read_line(&mut line)).await.context("SMTP")??;
            if !line.starts_with(class) {
                bail!("the mail server answers {to} with: {}", line.trim());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
