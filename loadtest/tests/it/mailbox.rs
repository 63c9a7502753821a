//! The watch of a mailbox, on a real mail server.

use std::time::Duration;

use loadtest::observe::{Inbox, standing};
use testkit::{endpoints, wait_for};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const SENDERS: u32 = 4;
const MAILS_OF_EACH: u32 = 500;

#[tokio::test]
async fn every_mail_is_noted_once_and_the_mailbox_stays_small() {
    let address = format!("watched-{}@example.com", uuid::Uuid::new_v4().simple());
    let imap = &endpoints().imap;
    let mut inbox = Inbox::watch(&address, imap).await.unwrap();

    let senders = (0..SENDERS).map(|sender| tokio::spawn(send(address.clone(), sender)));
    futures::future::try_join_all(senders).await.unwrap();

    let all = (SENDERS * MAILS_OF_EACH) as usize;
    let arrivals = wait_for("every mail to be noted", Duration::from_secs(30), async || {
        Some(inbox.arrivals().await.unwrap()).filter(|arrivals| arrivals.len() == all)
    })
    .await;
    assert!(arrivals.values().all(|times| times.len() == 1), "a mail was noted twice");
    // Fewer than are worth a removal are left.
    let left = wait_for("what was noted to be removed", Duration::from_secs(30), async || {
        Some(standing(&address, imap).await.unwrap()).filter(|left| left.n_mails < 100)
    })
    .await;
    assert_eq!(left.next_uid, 1 + SENDERS * MAILS_OF_EACH);
}

async fn send(address: String, sender: u32) {
    let endpoints = endpoints();
    let stream = TcpStream::connect((endpoints.smtp_host.as_str(), endpoints.smtp_port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    exchange(&mut stream, "", "220").await;
    exchange(&mut stream, "HELO example.com\r\n", "250").await;
    for number in 0..MAILS_OF_EACH {
        exchange(&mut stream, "MAIL FROM:<a@example.com>\r\n", "250").await;
        exchange(&mut stream, &format!("RCPT TO:<{address}>\r\n"), "250").await;
        exchange(&mut stream, "DATA\r\n", "354").await;
        let mail = format!("Message-ID: <{sender}-{number}@example.com>\r\n\r\nHello.\r\n.\r\n");
        exchange(&mut stream, &mail, "250").await;
    }
}

async fn exchange(stream: &mut BufReader<TcpStream>, command: &str, code: &str) {
    stream.get_mut().write_all(command.as_bytes()).await.unwrap();
    loop {
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        assert!(answer.starts_with(code), "{command}{answer}");
        if answer.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}
