//! The previous release on the schema of this release, as during a rollout.

#[tokio::test]
async fn the_previous_release_can_use_this_schema() {
    testkit::assert_previous_release_runs(
        env!("CARGO_BIN_EXE_orders"),
        "services/orders/tests/released.json",
        &["services/orders/src", "libs/outbox/src", "libs/idempotency/src"],
    )
    .await;
}
