//! `InboxWatch` with a real mail server.

use std::time::Duration;

use loadtest::{
    imap::{InboxWatch, mailbox_status},
    smtp::Smtp,
};
use testkit::{endpoints, wait_for};

const SENDERS: u32 = 4;
const MAILS_OF_EACH: u32 = 500;

#[tokio::test]
async fn every_mail_is_recorded_once_and_the_mailbox_stays_small() {
    let address = format!("watched-{}@example.com", uuid::Uuid::new_v4().simple());
    let imap = &endpoints().imap;
    let mut inbox = InboxWatch::start(&address, imap).await.unwrap();

    let senders = (0..SENDERS).map(|sender| tokio::spawn(send(address.clone(), sender)));
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

async fn send(address: String, sender: u32) {
    let endpoints = endpoints();
    let mut smtp = Smtp::connect(&format!("{}:{}", endpoints.smtp_host, endpoints.smtp_port)).await.unwrap();
    for number in 0..MAILS_OF_EACH {
        // A long header is folded.
        let separator = if number % 2 == 0 { " " } else { "\r\n " };
        let mail = format!("Message-ID:{separator}<{sender}-{number}@example.com>\r\n\r\nHello.\r\n");
        smtp.send("a@example.com", &address, &mail).await.unwrap();
    }
}
