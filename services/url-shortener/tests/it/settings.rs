//! Settings that the service refuses at start-up.

use testkit::{Builder, Database, Keys, Process};

pub(crate) async fn process() -> Builder {
    let database = Database::create("url_shortener").await;
    let keys = Keys::generate(&testkit::scratch_dir("url-shortener-keys"));
    Process::builder(env!("CARGO_BIN_EXE_url-shortener"))
        .env("DATABASE_URL", database.url())
        .env("AUTH_JWKS_FILE", keys.jwks_file())
        .env("LINKS_CURSOR_KEYS", format!("test:{}", "22".repeat(32)))
}

#[tokio::test]
async fn a_public_url_must_be_an_origin() {
    for url in
        ["links.example", "ftp://links.example", "https://links.example/path", "https://u@links.example"]
    {
        let output = process().await.env("LINKS_PUBLIC_URL", url).expect_refusal().await;
        assert!(output.contains("--links-public-url"), "{url}: {output}");
    }
    let output = process().await.expect_refusal().await;
    assert!(output.contains("--links-public-url"), "{output}");
}

#[tokio::test]
async fn production_refuses_an_insecure_public_url() {
    for url in ["http://links.example", "https://localhost:7401", "https://127.0.0.1"] {
        let process = process().await.env("ENVIRONMENT", "production").env("LINKS_PUBLIC_URL", url);
        let output = process.expect_refusal().await;
        assert!(output.contains("LINKS_PUBLIC_URL is"), "{url}: {output}");
    }
}

#[tokio::test]
async fn production_refuses_fail_points() {
    let process =
        process().await.env("ENVIRONMENT", "production").env("LINKS_PUBLIC_URL", "https://links.example");
    let output = process.env("MUSTER_FAIL_POINTS", "links.committed=kill").expect_refusal().await;
    assert!(output.contains("MUSTER_FAIL_POINTS"), "{output}");
}

#[tokio::test]
async fn malformed_cursor_keys_are_refused_and_not_logged() {
    let key = "abcd".repeat(16);
    for keys in [key.clone(), format!("id:{key},"), format!("id:{key},id:{key}"), format!("ID:{key}")] {
        let process = process().await.env("LINKS_PUBLIC_URL", "http://links.test");
        let output = process.env("LINKS_CURSOR_KEYS", keys).expect_refusal().await;
        assert!(output.contains("LINKS_CURSOR_KEYS") && output.contains("openssl"), "{output}");
        assert!(!output.contains(&key), "{output}");
    }
}

#[tokio::test]
async fn a_missing_key_file_is_named() {
    let process = process().await.env("LINKS_PUBLIC_URL", "http://links.test");
    let output = process.env("AUTH_JWKS_FILE", "nowhere.json").expect_refusal().await;
    assert!(output.contains("nowhere.json"), "{output}");
}

#[tokio::test]
async fn limits_of_zero_are_refused() {
    for (name, flag) in [
        ("MAX_REQUESTS_IN_FLIGHT", "--max-requests-in-flight"),
        ("QUOTA_REQUESTS_PER_SECOND", "--quota-requests-per-second"),
        ("QUOTA_BURST", "--quota-burst"),
    ] {
        let process = process().await.env("LINKS_PUBLIC_URL", "http://links.test").env(name, "0");
        let output = process.expect_refusal().await;
        assert!(output.contains(flag), "{name}: {output}");
    }
}

#[tokio::test]
async fn a_cache_without_bounds_is_refused() {
    for (name, flag, value) in [
        ("LINKS_CACHE_CAPACITY", "--links-cache-capacity", "0"),
        ("LINKS_CACHE_MAX_AGE_MS", "--links-cache-max-age-ms", "60001"),
        ("LINKS_CACHE_ABSENT_MAX_AGE_MS", "--links-cache-absent-max-age-ms", "0"),
    ] {
        let process = process().await.env("LINKS_PUBLIC_URL", "http://links.test").env(name, value);
        let output = process.expect_refusal().await;
        assert!(output.contains(flag), "{name}: {output}");
    }
}

#[tokio::test]
async fn a_retention_below_the_retry_window_is_refused() {
    let process = process().await.env("LINKS_PUBLIC_URL", "http://links.test");
    let output = process.env("IDEMPOTENCY_RETENTION_S", "86400").expect_refusal().await;
    assert!(output.contains("IDEMPOTENCY_RETENTION_S (86400) must be greater than"), "{output}");
}
