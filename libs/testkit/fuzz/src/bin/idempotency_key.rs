//! `Idempotency-Key` values: an accepted key is within the documented alphabet, and has one quoted and one bare form.

#![no_main]

use idempotency::http::Key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    let Ok(key) = Key::parse(value) else { return };
    let text = key.as_str();
    assert!((1..=255).contains(&text.len()), "length {}", text.len());
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "a character outside visible ASCII");

    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    assert_eq!(Key::parse(&quoted).as_ref(), Ok(&key), "the quoted form is another key");
    if !text.starts_with('"') {
        assert_eq!(Key::parse(text).as_ref(), Ok(&key), "the bare form is another key");
    }
});
