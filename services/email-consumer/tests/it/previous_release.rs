//! The previous release on the schema of this release, as during a rollout.

#[tokio::test]
async fn the_previous_release_can_use_this_schema() {
    testkit::assert_previous_release_runs(
        env!("CARGO_BIN_EXE_email-consumer"),
        "services/email-consumer/tests/released.json",
        &["services/email-consumer/src", "libs/consumer/src", "libs/idempotency/src"],
    )
    .await;
}
