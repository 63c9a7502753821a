//! SIGKILL between every two writes, and a restart.

use std::time::Duration;

use testkit::{Mailbox, Process, wait_for};

use crate::{
    orders::Order,
    smtp_stub::SmtpStub,
    world::{SOON, World, metric},
};

/// Timeout for the process to reach its fail point.
const DEATH: Duration = Duration::from_secs(40);

/// The state after a kill and the restart.
#[derive(Debug, PartialEq)]
struct Aftermath {
    mails: usize,
    possible_duplicates: u64,
}

/// Kills the process at `point` while it sends a mail, restarts it, and returns the state at the end.
async fn crash_at(point: &str) -> Aftermath {
    let world = World::new().await;
    let order = Order::new();
    let mut consumer = world
        .consumer()
        .env("MUSTER_FAIL_POINTS", format!("{point}=kill"))
        .env("EMAIL_LEASE_MS", "2000")
        .spawn()
        .await;
    world.publisher.publish(&order, &order.confirmed()).await;
    let status = consumer.wait_exit(DEATH).await;
    assert!(!status.success(), "{point}: {status}");

    restart_unarmed(&mut consumer).await;
    // An event of the same order, so it is handled after the first one.
    world.publisher.publish(&order, &order.rejected("Changed our mind.")).await;
    world.wait_until_recorded(2).await;
    let mails = Mailbox::messages(&order.email).await;
    let confirmed: Vec<_> =
        mails.iter().filter(|mail| mail.message_id() == order.message_id("confirmed")).collect();
    assert_eq!(mails.len() - confirmed.len(), 1, "{point}: one mail about the rejection");
    Aftermath {
        mails: confirmed.len(),
        possible_duplicates: metric(&consumer, "email_possible_duplicates_total").await,
    }
}

async fn restart_unarmed(consumer: &mut Process) {
    consumer.remove_env("MUSTER_FAIL_POINTS");
    consumer.restart().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_the_claim_sends_one_mail_and_counts_no_possible_duplicate() {
    let link_put = crash_at("email.link_put").await;
    assert_eq!(link_put, Aftermath { mails: 1, possible_duplicates: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_the_claim_sends_one_mail_and_counts_a_possible_duplicate() {
    let aftermath = crash_at("email.handing_over").await;
    assert_eq!(aftermath, Aftermath { mails: 1, possible_duplicates: 1 });
}

/// The duplicate window: this kill cannot be distinguished from the one above.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_acceptance_and_commit_sends_two_mails_with_one_message_id_and_counts_it() {
    let aftermath = crash_at("email.sent").await;
    assert_eq!(aftermath, Aftermath { mails: 2, possible_duplicates: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_commit_sends_one_mail_and_counts_no_possible_duplicate() {
    let (recorded, unstored) =
        tokio::join!(crash_at("email.recorded"), crash_at("consumer.before_store_offset"));
    assert_eq!(recorded, Aftermath { mails: 1, possible_duplicates: 0 });
    assert_eq!(unstored, Aftermath { mails: 1, possible_duplicates: 0 });
}

/// Kills the process at `point` after it has postponed the mail of an order, and restarts it. The SMTP server accepts the mail at the second try.
async fn crash_while_postponing(point: &str) {
    let world = World::new().await;
    let (order, other) = (Order::new(), Order::new());
    let stub = SmtpStub::start(&[]).await;
    stub.refuse(&order.email, "452 4.2.2 mailbox full");
    let mut consumer = world
        .consumer()
        .env("SMTP_PORT", stub.addr().port().to_string())
        .env("MUSTER_FAIL_POINTS", format!("{point}=kill"))
        .spawn()
        .await;
    world.publisher.publish(&order, &order.confirmed()).await;
    world.publisher.publish(&order, &order.rejected("Changed our mind.")).await;
    wait_for("the first refusal", SOON, async || {
        let row =
            world.database.connect().await.query_opt("SELECT attempts FROM mails", &[]).await.ok()??;
        (row.get::<_, i32>(0) >= 2).then_some(())
    })
    .await;
    // The server accepts this one later, so it refuses the other one alone.
    world.publisher.publish(&other, &other.confirmed()).await;
    wait_for("the mail to be postponed", SOON, async || {
        let sql = "SELECT count(*) FROM postponed_events";
        let row = world.database.connect().await.query_one(sql, &[]).await.ok()?;
        (row.get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    stub.accept_all();
    let status = consumer.wait_exit(DEATH).await;
    assert!(!status.success(), "{point}: {status}");

    restart_unarmed(&mut consumer).await;
    world.wait_until_recorded(3).await;
    assert_eq!(world.sent_kinds(order.id).await, ["confirmed", "rejected"], "{point}");
    assert_eq!(stub.taken(), 3, "{point}");
    assert_eq!(metric(&consumer, "email_possible_duplicates_total").await, 0, "{point}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_mail_is_postponed_keeps_the_order_of_its_key_and_sends_each_mail_once() {
    let points = ["consumer.postponed", "consumer.retry_sent", "consumer.line_event_handled"];
    let [postponed, sent, line] = points.map(crash_while_postponing);
    tokio::join!(postponed, sent, line);
}
