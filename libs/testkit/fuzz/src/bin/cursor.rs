//! List cursors: only the sealed text is accepted, and only for its own list.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use cursor::{Boundary, CursorKeys, Cursors, Direction, Position, Scope, Sort, SortKey};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

struct Sealed {
    cursors: Cursors,
    scope: Scope,
    position: Position<Uuid>,
    text: String,
}

static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let keys = CursorKeys::parse(&format!("fuzz:{}", "5a".repeat(32))).expect("a key");
    let cursors = Cursors::new(keys, Duration::from_hours(1));
    let scope = Scope::new("acme", "/v1/orders", Sort::Newest).filter("state", Some("confirmed"));
    let key = SortKey { at: NOW, id: Uuid::from_u128(7) };
    let position = Position { direction: Direction::Next, boundary: Boundary::Exclusive, key };
    let text = cursors.encode(&scope, &position, NOW);
    Sealed { cursors, scope, position, text }
});

fuzz_target!(|data: &[u8]| {
    let presented = edited(&SEALED.text, data);
    let open = |scope: &Scope| SEALED.cursors.decode::<Uuid>(scope, &presented, NOW);
    match open(&SEALED.scope) {
        Ok(position) => {
            assert_eq!(presented, SEALED.text, "a forged cursor was accepted");
            assert_eq!(position, SEALED.position, "it has another position");
        }
        Err(_) => assert_ne!(presented, SEALED.text, "a genuine cursor was rejected"),
    }
    assert!(
        open(&Scope::new("other", "/v1/orders", Sort::Newest)).is_err(),
        "it was accepted for another tenant"
    );
});
