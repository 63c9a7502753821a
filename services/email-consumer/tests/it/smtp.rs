//! A slow or refusing SMTP server: retries, and possible duplicates.

use std::convert::Infallible;

use events::orders::OrderConfirmed;
use testkit::{Kafka, Process, Record, wait_for};

use crate::{
    orders::{Order, envelope},
    smtp_stub::{Command, SmtpStub},
    world::{SOON, World, metric, wait_until_missing},
};

async fn consumer_at(world: &World, stub: &SmtpStub) -> Process {
    world.consumer().env("SMTP_PORT", stub.addr().port().to_string()).spawn().await
}

/// Returns the attempts of the only mail, and its attempts that were not refused.
async fn attempts_and_handovers(world: &World) -> (i32, i32) {
    let database = world.database.connect().await;
    let row = database.query_one("SELECT attempts, handovers FROM mails", &[]).await.unwrap();
    (row.get("attempts"), row.get("handovers"))
}

async fn dead_letters(consumer: &Process, world: &World) -> u64 {
    let topic = world.event_topic();
    metric(consumer, &format!("consumer_handled_total{{outcome=\"dead_letter\",topic=\"{topic}\"}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_refusal_is_retried_and_counts_no_possible_duplicate() {
    let world = World::new().await;
    let order = Order::new();
    let stub = SmtpStub::start(&["451 4.7.1 greylisted", "421 4.3.2 shutting down"]).await;
    let consumer = consumer_at(&world, &stub).await;
    world.publisher.publish(&order, &order.confirmed()).await;

    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 1);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
    assert_eq!(attempts_and_handovers(&world).await, (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_all_mails_causes_no_dead_letters() {
    let world = World::new().await;
    let stub = SmtpStub::scripted(&[
        (Command::Mail, "550 5.1.8 sender unknown"),
        (Command::Mail, "554 5.7.1 relay access denied"),
        (Command::Greeting, "220 stub"),
        (Command::Greeting, "554 5.7.1 no access"),
        (Command::Rcpt, "554 5.7.1 relay access denied"),
        (Command::Rcpt, "550 relay not permitted"),
        (Command::Rcpt, "554 5.7.1 relay access denied"),
        (Command::Rcpt, "554 5.7.1 relay access denied"),
        (Command::Rcpt, "530 5.7.0 STARTTLS first"),
    ])
    .await;
    let consumer = world
        .consumer()
        .env("SMTP_PORT", stub.addr().port().to_string())
        // A readiness check would consume a scripted greeting.
        .without_readiness()
        .spawn()
        .await;
    let order = Order::new();
    world.publisher.publish(&order, &order.confirmed()).await;

    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 1);
    assert_eq!(dead_letters(&consumer, &world).await, 0);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
    assert_eq!(attempts_and_handovers(&world).await, (8, 1));
}

/// Waits until the only mail that is not sent has this many attempts.
async fn wait_for_attempts(world: &World, attempts: i32) -> i32 {
    let database = world.database.connect().await;
    wait_for(&format!("{attempts} attempts"), SOON, async || {
        let row =
            database.query_opt("SELECT attempts FROM mails WHERE state <> 'sent'", &[]).await.ok()??;
        Some(row.get::<_, i32>(0)).filter(|found| *found >= attempts)
    })
    .await
}

/// Publishes orders whose mails are accepted: the next one when another mail was refused.
async fn publish_others(world: &World) -> Infallible {
    let mut accepted = 0;
    loop {
        let other = Order::new();
        world.publisher.publish(&other, &other.confirmed()).await;
        accepted += 1;
        world.wait_until_recorded(accepted).await;
        let attempts = wait_for_attempts(world, 1).await;
        wait_for_attempts(world, attempts + 1).await;
    }
}

/// Refuses one recipient repeatedly while the server accepts other mails; returns the dead letter.
async fn letter_of_a_recipient_refused_with(answer: &str) -> Record {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = world.consumer().env("SMTP_PORT", stub.addr().port().to_string()).spawn().await;
    let order = Order::new();
    stub.refuse(&order.email, &answer.replace("{}", &order.email));
    world.publisher.publish(&order, &order.confirmed()).await;
    wait_for_attempts(&world, 4).await;
    // No mail was accepted, so the server may refuse all mails.
    assert_eq!(dead_letters(&consumer, &world).await, 0);

    let mut letters = tokio::select! {
        letters = Kafka::read(world.dead_letter_topic(), 1) => letters,
        never = publish_others(&world) => match never {},
    };
    let letter = letters.pop().unwrap();
    assert_eq!(letter.key, Some(order.id.to_string()));
    assert!(!letter.headers["dead-letter-reason"].contains(&order.email));
    assert!(!consumer.logs().contains(&order.email));
    letter
}

/// Refuses one mail, accepts another one, and then refuses every recipient with this answer for a while.
async fn no_letter_when_all_are_refused_with(answer: &str) {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = consumer_at(&world, &stub).await;
    let (order, other) = (Order::new(), Order::new());
    stub.refuse(&order.email, answer);
    world.publisher.publish(&order, &order.confirmed()).await;
    wait_for_attempts(&world, 2).await;
    world.publisher.publish(&other, &other.confirmed()).await;
    world.wait_until_recorded(1).await;

    stub.refuse("RCPT", answer);
    let attempts = wait_for_attempts(&world, 2).await;
    wait_for_attempts(&world, attempts + 6).await;
    assert_eq!(dead_letters(&consumer, &world).await, 0);
    stub.accept_all();
    world.wait_until_recorded(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_refused_before_the_server_refuses_all_makes_no_dead_letter() {
    tokio::join!(
        no_letter_when_all_are_refused_with("550 5.7.1 relay access denied"),
        no_letter_when_all_are_refused_with("451 4.3.0 try again later"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_refused_by_policy_while_others_are_accepted_makes_a_dead_letter() {
    let letter = letter_of_a_recipient_refused_with("550 5.7.1 <{}> takes no mail from you").await;
    assert_eq!(letter.headers["dead-letter-code"], "mail_refused");
    assert_eq!(
        letter.headers["dead-letter-reason"],
        "the SMTP server refuses the mail with 550 repeatedly and accepts other mails"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_refused_temporarily_after_all_retries_makes_a_dead_letter() {
    let letter = letter_of_a_recipient_refused_with("452 4.2.2 <{}> is full").await;
    assert_eq!(letter.headers["dead-letter-code"], "retries_exhausted");
    assert_eq!(
        letter.headers["dead-letter-reason"],
        "the SMTP server refuses the mail for now with 452 and accepts other mails"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_slower_than_the_lease_causes_no_duplicate_and_blocks_no_other_key() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = world
        .consumer()
        .env("SMTP_PORT", stub.addr().port().to_string())
        .env("EMAIL_LEASE_MS", "2000")
        .spawn()
        .await;
    let (slow, other) = (Order::new(), Order::new());
    stub.hold(&slow.email);
    world.publisher.publish_to(3, &slow, &slow.confirmed()).await;
    world.publisher.publish_to(3, &slow, &slow.rejected("Changed our mind.")).await;
    world.publisher.publish_to(3, &other, &other.confirmed()).await;
    world.wait_until_recorded(1).await;
    assert_eq!(world.sent_kinds(other.id).await, ["confirmed"]);

    let renewed = "pg_transaction_duration_seconds_count{outcome=\"committed\",transaction=\"renew_lease\"}";
    wait_for("the lease to be renewed beyond its length", SOON, async || {
        (metric(&consumer, renewed).await >= 4).then_some(())
    })
    .await;
    assert_eq!(metric(&consumer, "email_leases_held").await, 1);
    assert_eq!(stub.taken(), 2);

    stub.release();
    world.wait_until_recorded(3).await;
    assert_eq!(world.sent_kinds(slow.id).await, ["confirmed", "rejected"]);
    assert_eq!(stub.taken(), 3);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
    assert_eq!(metric(&consumer, "email_leases_held").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_without_an_answer_makes_a_dead_letter_and_a_replay_sends_it_again() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = world
        .consumer()
        .env("SMTP_PORT", stub.addr().port().to_string())
        .env("SMTP_FINAL_TIMEOUT_MS", "300")
        .spawn()
        .await;
    let (order, envelope) = (Order::new(), envelope::<OrderConfirmed>());
    stub.hold(&order.email);
    world.publisher.publish_as(&order, &order.confirmed(), &envelope).await;

    let letters = Kafka::read(world.dead_letter_topic(), 1).await;
    assert_eq!(
        letters[0].headers["dead-letter-reason"],
        "outcome unknown: 3 attempts to send the mail got no answer, so it may have arrived"
    );
    assert_eq!(stub.taken(), 3);
    assert_eq!(metric(&consumer, "email_unknown_outcomes_total").await, 3);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 2);

    stub.release();
    let mut headers = envelope.to_headers();
    headers.push((events::header::REPLAYS, "1".to_owned()));
    world.publisher.send_event(&order, &order.confirmed(), &headers).await;
    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 4);
    assert_eq!(attempts_and_handovers(&world).await, (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_after_acceptance_sends_no_second_mail() {
    let world = World::new().await;
    let stub = SmtpStub::start(&[]).await;
    let consumer = consumer_at(&world, &stub).await;
    let order = Order::new();
    stub.hold(&order.email);
    world.publisher.publish(&order, &order.confirmed()).await;
    wait_for("the mail to be handed over", SOON, async || (stub.taken() == 1).then_some(())).await;
    world.postgres.cut();
    stub.release();
    wait_until_missing(&consumer, "postgres").await;

    world.postgres.restore();
    world.wait_until_recorded(1).await;
    assert_eq!(stub.taken(), 1);
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0);
}
