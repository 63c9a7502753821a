//! Settings with which the service refuses to start.

use std::process::{Command, Output};

use auth::SigningKey;
use testkit::scratch_dir;

/// Runs the service with valid settings, except for these.
fn run_with(changes: &[(&str, &str)]) -> Output {
    let key_file = scratch_dir("signing-key").join("key.jwk");
    std::fs::write(&key_file, SigningKey::generate("local-development-1").to_jwk_json()).unwrap();
    let key = "5a".repeat(32);
    let settings = [
        ("ENVIRONMENT", "local"),
        ("ADMIN_ADDR", "127.0.0.1:0"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("DATABASE_URL", "postgres://unused@127.0.0.1:1/nothing"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
        ("SMTP_HOST", "127.0.0.1"),
        ("EMAIL_FROM", "Muster <orders@muster.test>"),
        ("LINKS_URL", "http://127.0.0.1:1"),
        ("EMAIL_LINK_CODE_KEY", &key),
        ("AUTH_JWKS_FILE", "unused"),
    ];
    Command::new(env!("CARGO_BIN_EXE_email-consumer"))
        .env_clear()
        .envs(settings)
        .env("EMAIL_SIGNING_KEY_FILE", key_file)
        .envs(changes.iter().copied())
        .output()
        .unwrap()
}

fn everything_said_by(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_dedup_retention_below_the_time_in_which_an_event_can_come_back_is_refused() {
    // 7 days in the topic, 28 days as a dead letter, and the retries.
    let output = run_with(&[("EMAIL_DEDUP_RETENTION", "35d")]);
    assert_eq!(output.status.code(), Some(1));
    let said = everything_said_by(&output);
    assert!(said.contains("EMAIL_DEDUP_RETENTION (3024000s) must be longer than 3024665s"), "{said}");
    assert!(said.contains("increase the first"), "{said}");
}

#[test]
fn production_refuses_a_development_key() {
    let output = run_with(&[("ENVIRONMENT", "production")]);
    assert_eq!(output.status.code(), Some(1));
    let said = everything_said_by(&output);
    assert!(said.contains("is a local development key, which production refuses"), "{said}");
}

#[test]
fn a_malformed_setting_is_named() {
    let output = run_with(&[("EMAIL_FROM", "ada")]);
    assert_eq!(output.status.code(), Some(2));
    let said = everything_said_by(&output);
    assert!(said.contains("--email-from"), "{said}");
}

#[test]
fn a_login_without_tls_is_refused_and_the_password_is_not_logged() {
    let output = run_with(&[("SMTP_TLS", "none"), ("SMTP_USER", "orders"), ("SMTP_PASSWORD", "hunter2")]);
    assert_eq!(output.status.code(), Some(1));
    let said = everything_said_by(&output);
    assert!(said.contains("SMTP_TLS=none would send SMTP_PASSWORD in the clear"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
