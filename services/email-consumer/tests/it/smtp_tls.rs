//! A relay with TLS and a login: mails are sent through it, and an unverified server gets nothing.

use std::time::Instant;

use testkit::{Authority, Builder, Mailbox, Process, client, wait_for};

use crate::{
    orders::Order,
    relay::{Relay, Tls},
    world::{SOON, World, metric, wait_until_missing},
};

const USER: &str = "orders";
const PASSWORD: &str = "a wrong horse";
/// Base64 of user and password for AUTH PLAIN (RFC 4616).
const TOKEN: &str = "AG9yZGVycwBhIHdyb25nIGhvcnNl";

fn consumer(world: &World, relay: &Relay, security: &str, authority: &Authority) -> Builder {
    world
        .consumer()
        .env("SMTP_PORT", relay.addr().port().to_string())
        .env("SMTP_TLS", security)
        .env("SMTP_USER", USER)
        .env("SMTP_PASSWORD", PASSWORD)
        .env("TLS_EXTRA_CA_FILE", authority.file())
}

async fn expect_mail(security: &str, tls: Tls) -> Vec<String> {
    let world = World::new().await;
    let authority = Authority::new();
    let relay = Relay::start(tls, &authority.certificate("127.0.0.1"), TOKEN).await;
    let consumer = consumer(&world, &relay, security, &authority).spawn().await;
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;
    let mails = Mailbox::wait_for(&order.email, 1).await;
    assert_eq!(mails[0].message_id(), order.message_id("confirmed"));
    world.wait_until_recorded(1).await;

    // More mails and readiness checks need no further login on their connections.
    world.publisher.publish(&order, &order.rejected("Changed our mind.")).await;
    world.wait_until_recorded(2).await;
    wait_until_checked(&consumer, &relay).await;
    assert!(relay.logins() <= 2, "{}", relay.logins());
    assert!(!consumer.logs().contains(PASSWORD) && !consumer.logs().contains(TOKEN));
    relay.plaintext()
}

/// Waits until readiness was checked again: each check is a connection.
async fn wait_until_checked(consumer: &Process, relay: &Relay) {
    let before = relay.connections();
    wait_for("three checks of readiness", SOON, async || {
        let answer = client().get(format!("{}/ready", consumer.admin_url())).send().await.ok()?;
        (answer.status() == 200 && relay.connections() >= before + 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_starttls_and_a_login_only_the_greeting_is_plaintext() {
    assert_eq!(expect_mail("starttls", Tls::Starttls).await, ["EHLO muster.test", "STARTTLS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_sent_over_implicit_tls_with_a_login() {
    assert!(expect_mail("implicit", Tls::Implicit).await.is_empty());
}

/// A consumer that must not send, and the expected reason.
struct Refused {
    relay: Relay,
    consumer: Process,
    said: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unverified_server_gets_no_mail_and_the_setting_is_named() {
    let world = World::new().await;
    let (authority, other) = (Authority::new(), Authority::new());
    let certificate = authority.certificate("127.0.0.1");
    let elsewhere = authority.certificate("relay.example");
    let begun = Instant::now();
    let mut refused = Vec::new();
    for (name, security, tls, server, trusted, token, said) in [
        ("strangers", "starttls", Tls::Starttls, &certificate, &other, TOKEN, "TLS_EXTRA_CA_FILE"),
        ("implicit", "implicit", Tls::Implicit, &certificate, &other, TOKEN, "TLS_EXTRA_CA_FILE"),
        ("misnamed", "starttls", Tls::Starttls, &elsewhere, &authority, TOKEN, "SMTP_HOST"),
        ("stripped", "starttls", Tls::Stripped, &certificate, &authority, TOKEN, "SMTP_TLS"),
        ("injected", "starttls", Tls::Injected, &certificate, &authority, TOKEN, "SMTP_TLS"),
        ("unencrypted", "implicit", Tls::Stripped, &certificate, &authority, TOKEN, "SMTP_TLS"),
        ("password", "implicit", Tls::Implicit, &certificate, &authority, "another", "SMTP_PASSWORD"),
    ] {
        let relay = Relay::start(tls, server, token).await;
        let consumer = consumer(&world, &relay, security, trusted)
            // Each of them gets the event.
            .env("EMAIL_GROUP_ID", format!("{}.{name}", world.event_topic()))
            .without_readiness()
            .spawn()
            .await;
        refused.push(Refused { relay, consumer, said });
    }
    // Before any mail, so that the readiness check finds it.
    for Refused { consumer, said, .. } in &refused {
        wait_until_missing(consumer, "smtp").await;
        wait_for(said, SOON, async || {
            let report = client().get(format!("{}/ready", consumer.admin_url())).send().await.ok()?;
            let report: serde_json::Value = report.json().await.ok()?;
            report["checks"]["smtp"].as_str()?.contains(said).then_some(())
        })
        .await;
    }
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;
    for Refused { relay, consumer, said } in &refused {
        wait_for("two attempts", SOON, async || {
            let retried = format!(
                "consumer_handled_total{{outcome=\"unavailable\",topic=\"{}\"}}",
                world.event_topic()
            );
            (metric(consumer, &retried).await >= 2).then_some(())
        })
        .await;
        let logs = consumer.logs();
        assert!(logs.contains(said), "{said}: {logs}");
        assert!(!logs.contains(PASSWORD) && !logs.contains(TOKEN), "{logs}");
        assert_eq!(relay.mails(), 0, "{said}");
        // At most one login in 30 s, so that a server does not lock the account.
        assert!(u64::from(relay.logins()) <= 1 + begun.elapsed().as_secs() / 30, "{}", relay.logins());
        let plaintext = relay.plaintext();
        assert!(plaintext.iter().all(|it| it.starts_with("EHLO ") || it == "STARTTLS"), "{plaintext:?}");
    }
    drop(refused);

    // The connection was wrong and not the event, so no dead letter is written.
    let relay = Relay::start(Tls::Starttls, &certificate, TOKEN).await;
    let _consumer = consumer(&world, &relay, "starttls", &authority).spawn().await;
    world.wait_until_recorded(1).await;
    assert_eq!(Mailbox::messages(&order.email).await.len(), 1);
}
