//! Cost of a signed cursor and of an unsigned one: `cargo run --release -p cursor --example cost`.

#![expect(clippy::print_stdout, reason = "the example prints its result")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use cursor::{Boundary, CursorKeys, Cursors, Direction, Position, Scope, Sort, SortKey};
use uuid::Uuid;

const RUNS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = CursorKeys::parse(&format!("2025-01:{}", "5a".repeat(32)))?;
    let cursors = Cursors::new(keys, Duration::from_hours(24));
    let scope = Scope::new("acme", "/v1/orders", Sort::Newest).filter("state", Some("pending"));
    let now = Utc::now();
    let key = SortKey { at: now, id: Uuid::now_v7() };
    let position = Position { direction: Direction::Next, boundary: Boundary::Exclusive, key };

    let signed = cursors.encode(&scope, &position, now);
    let unsigned = encode_unsigned(&position);
    println!("signed: {} characters", signed.len());
    println!("  encode in {}", each(|| cursors.encode(&scope, &position, now)));
    println!("  decode in {}", each(|| cursors.decode::<Uuid>(&scope, &signed, now)));
    println!("unsigned: {} characters", unsigned.len());
    println!("  encode in {}", each(|| encode_unsigned(&position)));
    println!("  decode in {}", each(|| URL_SAFE_NO_PAD.decode(&unsigned)));
    Ok(())
}

/// The position in base64 without a signature.
fn encode_unsigned(position: &Position<Uuid>) -> String {
    let SortKey { at, id } = &position.key;
    URL_SAFE_NO_PAD.encode([at.timestamp_micros().to_be_bytes().as_slice(), id.as_bytes()].concat())
}

fn each<T>(work: impl Fn() -> T) -> String {
    let started = Instant::now();
    for _ in 0..RUNS {
        black_box(work());
    }
    format!("{:.2} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS))
}
