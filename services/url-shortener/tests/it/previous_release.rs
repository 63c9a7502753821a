//! The previous release on the schema of this one, as in the middle of a roll-out.

#[tokio::test]
async fn it_can_use_this_schema() {
    testkit::assert_previous_release_runs(
        env!("CARGO_BIN_EXE_url-shortener"),
        "services/url-shortener/tests/released.json",
        &["services/url-shortener/src", "libs/idempotency/src"],
    )
    .await;
}
