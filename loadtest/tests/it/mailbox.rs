//! `InboxWatch` with a real mail server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use loadtest::{
    imap::{InboxWatch, mailbox_status},
    smtp::Smtp,
};
use testkit::{endpoints, wait_for};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

const SENDERS: u32 = 4;
const MAILS_OF_EACH: u32 = 500;

#[tokio::test]
async fn every_mail_is_recorded_once_and_the_mailbox_stays_small() {
    let address = format!("watched-{}@example.com", uuid::Uuid::new_v4().simple());
    let imap = &endpoints().imap;
    let mut inbox = InboxWatch::start(&address, imap).await.unwrap();

    let senders = (0..SENDERS).map(|sender| tokio::spawn(send_mails(address.clone(), sender, MAILS_OF_EACH)));
    futures::future::try_join_all(senders).await.unwrap();

    let all = (SENDERS * MAILS_OF_EACH) as usize;
    let times = wait_for("every mail to be recorded", Duration::from_secs(30), async || {
        Some(inbox.times().await.unwrap()).filter(|times| times.len() == all)
    })
    .await;
    assert!(times.values().all(|times| times.len() == 1), "a mail was recorded twice");
    // Too few for a removal remain.
    let status = wait_for("recorded mails to be removed", Duration::from_secs(30), async || {
        Some(mailbox_status(&address, imap).await.unwrap()).filter(|status| status.n_mails < 100)
    })
    .await;
    assert_eq!(status.next_uid, 1 + SENDERS * MAILS_OF_EACH);
}

#[tokio::test]
async fn mails_are_recorded_after_an_outage_of_the_mail_server() {
    let address = format!("outage-{}@example.com", uuid::Uuid::new_v4().simple());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap().to_string();
    let n_refused = Arc::<AtomicU32>::default();
    tokio::spawn(refuse_three_after_the_first(listener, Arc::clone(&n_refused)));
    let mut inbox = InboxWatch::start(&address, &proxy).await.unwrap();

    wait_for("refused connections", Duration::from_secs(30), async || {
        (n_refused.load(Ordering::Relaxed) == 3).then_some(())
    })
    .await;
    send_mails(address, 0, 1).await;
    wait_for("the mail to be recorded", Duration::from_secs(30), async || {
        (inbox.times().await.unwrap().len() == 1).then_some(())
    })
    .await;
}

/// Forwards the first connection for a second, closes the next three at once, and forwards later ones.
async fn refuse_three_after_the_first(listener: TcpListener, n_refused: Arc<AtomicU32>) {
    for number in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        if (1..=3).contains(&number) {
            n_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        tokio::spawn(async move {
            let mut server = TcpStream::connect(&endpoints().imap).await.unwrap();
            let forward = copy_bidirectional(&mut client, &mut server);
            let limit = Duration::from_secs(if number == 0 { 1 } else { 60 });
            // Either end may close it, as the limit does.
            tokio::time::timeout(limit, forward).await.map(drop).unwrap_or_default();
        });
    }
}

async fn send_mails(address: String, sender: u32, n_mails: u32) {
    let endpoints = endpoints();
    let mut smtp = Smtp::connect(&format!("{}:{}", endpoints.smtp_host, endpoints.smtp_port)).await.unwrap();
    for number in 0..n_mails {
        // A long header is folded.
        let separator = if number % 2 == 0 { " " } else { "\r\n " };
        let mail = format!("Message-ID:{separator}<{sender}-{number}@example.com>\r\n\r\nHello.\r\n");
        smtp.send("a@example.com", &address, &mail).await.unwrap();
    }
}
