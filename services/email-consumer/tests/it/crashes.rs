//! SIGKILL between every two writes, and a restart.

use std::time::Duration;

use testkit::{Mailbox, Process};

use crate::{
    orders::Order,
    world::{World, metric},
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
