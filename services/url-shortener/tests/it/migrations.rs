//! The schema as a cluster has it made: by a job, while the service waits.

use std::{
    process::{Command, Output},
    time::Duration,
};

use reqwest::StatusCode;
use testkit::{Database, wait_for};

use crate::service::Service;

const SOON: Duration = Duration::from_secs(30);

/// Runs the job with the database and no other setting of the service.
fn migrate(database_url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_url-shortener"))
        .arg("migrate")
        .env_clear()
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("DATABASE_URL", database_url)
        .env("DATABASE_MIGRATIONS", "await")
        .output()
        .unwrap()
}

#[tokio::test]
async fn a_service_that_awaits_its_migrations_is_not_ready_until_the_job_has_run() {
    let database = Database::create("url_shortener").await;
    let url = database.url();
    let service = Service::start_with(database, |process| {
        process.env("DATABASE_URL", &url).env("DATABASE_MIGRATIONS", "await").without_readiness()
    })
    .await;
    assert_eq!(service.readiness().await.status, StatusCode::SERVICE_UNAVAILABLE);
    service.follow("abcdefgh").await.assert_unavailable();

    let output = migrate(&url);

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    wait_for("the service to be ready", SOON, async || {
        (service.readiness().await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(service.follow("abcdefgh").await.status, StatusCode::NOT_FOUND);
    assert!(migrate(&url).status.success(), "the job may run again");
}

#[test]
fn a_job_without_a_database_says_what_it_needs() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_url-shortener")).arg("migrate").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--database-url"), "{said}");
}
