//! Migrations by a job, as in a cluster, while the service waits.

use std::{
    process::{Command, Output},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use testkit::{Database, wait_for};

use crate::service::Service;

const SOON: Duration = Duration::from_secs(90);

/// Runs the job with only the settings of the database.
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
async fn a_service_that_awaits_migrations_is_ready_after_the_job() {
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
fn a_migration_job_without_a_database_names_the_missing_setting() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_url-shortener")).arg("migrate").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--database-url"), "{said}");
}

#[tokio::test]
async fn columns_of_wider_types_are_still_readable() {
    let service = Service::start().await;
    let paths = ["/v1/links/first-link", "/v1/links"];
    let read = async |path: &str| {
        let token = service.token("acme", &["links:read"]);
        service.request(Method::GET, path).bearer_auth(token).send().await.unwrap().status()
    };
    let use_everything = async |code: &str| {
        assert!(service.put("acme", code, "https://example.com/1").await.status.is_success());
        assert_eq!(
            service.put("acme", "first-link", &format!("https://example.com/{code}")).await.status,
            200
        );
        assert_eq!(service.post(code, "https://example.com/2").await.status, StatusCode::CREATED);
        assert_eq!(service.follow(code).await.status, StatusCode::FOUND);
        for path in paths {
            assert_eq!(read(path).await, StatusCode::OK, "{path} at {code}");
        }
    };
    assert_eq!(service.put("acme", "first-link", "https://example.com/0").await.status, StatusCode::CREATED);
    use_everything("warmed-up").await;

    let wider =
        "ALTER TABLE links ALTER COLUMN target_host DROP EXPRESSION, ALTER COLUMN target_host DROP NOT NULL;
                 ALTER TABLE links ALTER COLUMN target TYPE varchar(3000), ALTER COLUMN code TYPE varchar(64);
                 ALTER TABLE idempotency_keys ALTER COLUMN route TYPE varchar(300)";
    service.database.connect().await.batch_execute(wider).await.unwrap();

    use_everything("afterwards").await;
}
