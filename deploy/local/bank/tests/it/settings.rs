//! Settings and journals that the bank refuses at the start.

use std::fs;

use crate::bank::{Bank, builder, journal};

#[tokio::test]
async fn unusable_keys_are_refused_and_not_logged() {
    for (name, value) in [
        ("BANK_KEY", "short-hush"),
        ("BANK_KEY", "hush with spaces in it"),
        ("BANK_WEBHOOK_KEYS", "whsec_hush"),
    ] {
        let output = builder().env(name, value).expect_refusal().await;
        assert!(output.contains(name) && output.contains("openssl"), "{output}");
        assert!(!output.contains("hush"), "{output}");
    }
}

#[tokio::test]
async fn impossible_misbehaviour_is_refused_and_named() {
    let output = builder().env("BANK_REFUSED_PERCENT", "101").expect_refusal().await;
    assert!(output.contains("--refused-percent"), "{output}");
    let output = builder().env("BANK_DELAY_MIN_MS", "1").expect_refusal().await;
    assert!(
        output.contains("BANK_DELAY_MIN_MS cannot be used: must be at most delay_max_ms (0)"),
        "{output}"
    );
}

#[tokio::test]
async fn a_journal_belongs_to_one_process() {
    let path = journal();
    let _bank = Bank::start_with(|process| process.env("BANK_JOURNAL", &path)).await;
    let output = builder().env("BANK_JOURNAL", &path).expect_refusal().await;
    assert!(output.contains("another process uses the journal"), "{output}");
}

#[tokio::test]
async fn a_damaged_journal_is_refused_with_the_line() {
    let path = journal();
    fs::write(&path, "{\"accepted\":\n").unwrap();
    let output = builder().env("BANK_JOURNAL", &path).expect_refusal().await;
    assert!(output.contains("line 1 is not a record"), "{output}");
}
