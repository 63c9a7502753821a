//! STARTTLS (RFC 3207): the plaintext before the handshake.
//!
//! lettre could do it, but keeps what arrives in plaintext behind the answer to STARTTLS and takes it for answers of the secured
//! connection, which lets anybody on the way answer in the server's place. Here such bytes end the connection, and what the
//! server said in plaintext is forgotten: the secured connection begins with an EHLO of its own (section 4.2).

use lettre::transport::smtp::{
    commands::{Ehlo, Starttls},
    extension::{ClientId, Extension, ServerInfo},
    response::Response,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::Error;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 16 * 1024;

/// Greets the server; returns when the handshake can be asked for.
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

/// Asks for the handshake; returns the connection on which it follows.
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

/// Reads an answer (RFC 5321, section 4.2.1): its last line has no hyphen behind the code.
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
