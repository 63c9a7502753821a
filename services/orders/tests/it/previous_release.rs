//! The previous release on the schema of this one, as in the middle of a roll-out.

#[tokio::test]
async fn it_can_use_this_schema() {
    testkit::assert_previous_release_runs(
        env!("CARGO_BIN_EXE_orders"),
        "services/orders/tests/released.json",
        &["services/orders/src", "libs/outbox/src", "libs/idempotency/src"],
    )
    .await;
}
