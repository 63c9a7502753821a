use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::Sort;

const LIFETIME: Duration = Duration::from_secs(100);

/// Cursors with keys of these ids, the first of which signs.
fn cursors(ids: &[u8]) -> Cursors {
    let keys: Vec<_> = ids.iter().map(|id| format!("k{id}:{}", hex::encode([*id; 32]))).collect();
    Cursors::new(CursorKeys::parse(&keys.join(",")).unwrap(), LIFETIME)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn scope() -> Scope {
    Scope::new("acme", "/v1/orders", Sort::Newest).filter("state", Some("pending"))
}

fn position() -> Position<Uuid> {
    let key = SortKey { at: DateTime::from_timestamp_micros(1_234_567).unwrap(), id: Uuid::from_u128(7) };
    Position { direction: Direction::Next, boundary: Boundary::Exclusive, key }
}

fn decode(text: &str, scope: &Scope, now: i64) -> Result<Position<Uuid>, CursorError> {
    cursors(&[1]).decode(scope, text, at(now))
}

fn any_position() -> impl Strategy<Value = Position<Uuid>> {
    let direction = prop_oneof![Just(Direction::Next), Just(Direction::Prev)];
    let boundary = prop_oneof![Just(Boundary::Exclusive), Just(Boundary::Inclusive)];
    // From the year 1 to the year 9999.
    let micros = -62_135_596_800_000_000_i64..253_402_300_800_000_000;
    (direction, boundary, micros, any::<u128>()).prop_map(|(direction, boundary, micros, id)| {
        let key = SortKey { at: DateTime::from_timestamp_micros(micros).unwrap(), id: Uuid::from_u128(id) };
        Position { direction, boundary, key }
    })
}

#[test]
fn a_cursor_is_valid_until_it_expires() {
    let cursor = cursors(&[1]).encode(&scope(), &position(), at(1_000));
    assert_eq!(decode(&cursor, &scope(), 1_000), Ok(position()));
    assert_eq!(decode(&cursor, &scope(), 1_099), Ok(position()));
    assert_eq!(decode(&cursor, &scope(), 1_100), Err(CursorError::Expired));
}

#[test]
fn a_cursor_of_another_tenant_or_route_is_foreign() {
    let cursor = cursors(&[1]).encode(&scope(), &position(), at(0));
    for (tenant, route) in
        [("rival", "/v1/orders"), ("acme", "/v1/links"), ("acme", "/v1/orders/7"), ("acme/", "v1/orders")]
    {
        let other = Scope::new(tenant, route, Sort::Newest).filter("state", Some("pending"));
        assert_eq!(decode(&cursor, &other, 0), Err(CursorError::Foreign), "{tenant} {route}");
        assert_eq!(
            decode(&cursor, &other, 1_000),
            Err(CursorError::Foreign),
            "an expired one gives the same error"
        );
    }
}

#[test]
fn a_cursor_of_another_query_is_a_mismatch() {
    let cursor = cursors(&[1]).encode(&scope(), &position(), at(0));
    let plain = || Scope::new("acme", "/v1/orders", Sort::Newest);
    for other in [
        plain(),
        plain().filter("state", Some("confirmed")),
        plain().filter("stat", Some("epending")),
        plain().filter("customer", Some("pending")),
        scope().filter("customer", Some("")),
        Scope::new("acme", "/v1/orders", Sort::Oldest).filter("state", Some("pending")),
    ] {
        assert_eq!(decode(&cursor, &other, 0), Err(CursorError::Mismatch));
    }
}

#[test]
fn cursors_stay_valid_while_keys_rotate() {
    let old = cursors(&[1]).encode(&scope(), &position(), at(0));
    let announced = cursors(&[1, 2]);
    assert_eq!(announced.encode(&scope(), &position(), at(0)), old, "the first key still signs");
    let rotated = cursors(&[2, 1]);
    assert_eq!(rotated.decode(&scope(), &old, at(0)), Ok(position()));
    let new = rotated.encode(&scope(), &position(), at(0));
    assert_ne!(new, old);
    assert_eq!(
        announced.decode(&scope(), &new, at(0)),
        Ok(position()),
        "replicas that sign with the old key"
    );
    assert_eq!(cursors(&[2]).decode(&scope(), &new, at(0)), Ok(position()));
    assert_eq!(cursors(&[2]).decode::<Uuid>(&scope(), &old, at(0)), Err(CursorError::Invalid));
}

#[test]
fn a_key_under_the_id_of_another_key_verifies_no_cursor() {
    let cursor = cursors(&[1]).encode(&scope(), &position(), at(0));
    let keys = CursorKeys::parse(&format!("k1:{}", "ab".repeat(32))).unwrap();
    let other = Cursors::new(keys, LIFETIME);
    assert_eq!(other.decode::<Uuid>(&scope(), &cursor, at(0)), Err(CursorError::Invalid));
}

#[test]
fn an_identifier_may_be_text() {
    let key = SortKey { at: at(5), id: "fjörd-17".to_owned() };
    let position = Position { direction: Direction::Prev, boundary: Boundary::Inclusive, key };
    let cursor = cursors(&[1]).encode(&scope(), &position, at(0));
    assert_eq!(cursors(&[1]).decode(&scope(), &cursor, at(0)), Ok(position));
    assert_eq!(decode(&cursor, &scope(), 0), Err(CursorError::Invalid), "it is not a UUID");
}

#[test]
fn filters_cannot_be_read_from_a_cursor() {
    let customer = "ada@example.com";
    let scope = Scope::new("acme", "/v1/orders", Sort::Newest).filter("customer", Some(customer));
    let cursor = cursors(&[1]).encode(&scope, &position(), at(0));
    let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
    for word in ["ada", "acme", "orders"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    assert!(cursor.len() <= 100, "{} characters", cursor.len());
}

proptest! {
    #[test]
    fn decoding_returns_the_encoded_position(position in any_position(), now in 0_i64..4_000_000_000) {
        let cursor = cursors(&[1]).encode(&scope(), &position, at(now));
        prop_assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        prop_assert_eq!(decode(&cursor, &scope(), now), Ok(position));
    }

    #[test]
    fn any_flipped_bit_is_refused(position in any_position(), bit in any::<prop::sample::Index>()) {
        let cursor = cursors(&[1]).encode(&scope(), &position, at(0));
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = URL_SAFE_NO_PAD.encode(bytes);
        prop_assert_eq!(decode(&changed, &scope(), 0), Err(CursorError::Invalid));
    }

    #[test]
    fn any_changed_character_is_refused(place in any::<prop::sample::Index>(), other in "[A-Za-z0-9_=+/ -]") {
        let cursor = cursors(&[1]).encode(&scope(), &position(), at(0));
        let place = place.index(cursor.len());
        let mut changed = cursor.clone();
        changed.replace_range(place..=place, &other);
        prop_assume!(changed != cursor);
        prop_assert_eq!(decode(&changed, &scope(), 0), Err(CursorError::Invalid));
    }

    #[test]
    fn any_changed_length_is_refused(cut in 1_usize..90, more in "[A-Za-z0-9_-]{1,8}") {
        let cursor = cursors(&[1]).encode(&scope(), &position(), at(0));
        let shorter: String = cursor.chars().take(cursor.len().saturating_sub(cut)).collect();
        for changed in [shorter, format!("{cursor}{more}"), format!("{more}{cursor}")] {
            prop_assert_eq!(decode(&changed, &scope(), 0), Err(CursorError::Invalid));
        }
    }

    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        prop_assert_eq!(decode(&text, &scope(), 0), Err(CursorError::Invalid));
        prop_assert_eq!(decode(&URL_SAFE_NO_PAD.encode(bytes), &scope(), 0), Err(CursorError::Invalid));
    }
}
