//! A replay that is interrupted by a kill.

use testkit::{Mailbox, Process, wait_for};

use crate::{
    operator::{Fault, Operator, letters},
    orders::Order,
    world::{SOON, World, metric},
};

/// Kills the process at `point` of a replay, restarts it, and returns it with the order of the letter.
async fn killed_at(world: &World, point: &str) -> (Process, Order) {
    let mut consumer = world.consumer().env("MUSTER_FAIL_POINTS", format!("{point}=kill")).spawn().await;
    let operator = Operator::of(world, &consumer);
    let fault = Fault::inject(world).await;
    let order = letters(world, &operator, 1).await.remove(0);
    fault.repair().await;
    let replay = tokio::spawn(async move { operator.replay("&all=true&dry_run=false").await });
    consumer.wait_exit(SOON).await;
    assert!(replay.await.is_err(), "the process died before its answer");
    consumer.remove_env("MUSTER_FAIL_POINTS");
    consumer.restart().await;
    (consumer, order)
}

/// Ends the lease of the decision, as 30 seconds do.
async fn end_lease(world: &World) {
    world.execute("UPDATE dead_letter_decisions SET began_at = began_at - interval '31 seconds'").await;
}

async fn attempts(world: &World) -> i64 {
    let sql = "SELECT count(*) FROM dead_letter_decisions WHERE action = 'replayed'";
    world.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_begun_is_visible_and_can_be_repeated() {
    let world = World::new().await;
    let (consumer, order) = killed_at(&world, "consumer.replay_begun").await;
    let operator = Operator::of(&world, &consumer);
    assert_eq!(operator.list("").await[0]["state"], "in_progress");
    let refused = operator.replay("&all=true&dry_run=false").await;
    assert_eq!(refused[0]["state"], "in_progress", "the first attempt may still run");
    assert!(Mailbox::messages(&order.email).await.is_empty());

    end_lease(&world).await;
    let replayed = operator.replay("&all=true&dry_run=false").await;
    assert_eq!(replayed[0]["state"], "decided");
    assert_eq!(Mailbox::wait_for(&order.email, 1).await.len(), 1);
    assert_eq!(attempts(&world).await, 2, "both are in the audit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_sent_and_not_recorded_sends_no_second_mail() {
    let world = World::new().await;
    let (consumer, order) = killed_at(&world, "consumer.replay_sent").await;
    let operator = Operator::of(&world, &consumer);
    assert_eq!(Mailbox::wait_for(&order.email, 1).await.len(), 1);
    world.wait_until_recorded(1).await;

    end_lease(&world).await;
    assert_eq!(operator.replay("&all=true&dry_run=false").await[0]["state"], "decided");
    // The event in its own topic can be delivered again, too, if its offset was not committed before the kill.
    wait_for("the repeated event to be handled", SOON, async || {
        (metric(&consumer, "email_repeated_events_total").await >= 1).then_some(())
    })
    .await;
    let mails = Mailbox::messages(&order.email).await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].message_id(), order.message_id("confirmed"));
}
