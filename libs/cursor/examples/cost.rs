//! What a signed cursor costs beside an open one: `cargo run --release -p cursor --example cost`.

#![expect(clippy::print_stdout, reason = "it is there to print")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use cursor::{Anchor, CursorKeys, Cursors, Position, Scope, Sort, Start, Toward};
use uuid::Uuid;

const RUNS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = CursorKeys::parse(&format!("2025-01:{}", "5a".repeat(32)))?;
    let cursors = Cursors::new(keys, Duration::from_hours(24));
    let scope = Scope::new("acme", "/v1/orders", Sort::Newest).filter("state", Some("pending"));
    let now = Utc::now();
    let anchor = Anchor { at: now, id: Uuid::now_v7() };
    let position = Position { toward: Toward::Next, start: Start::Beyond, anchor };

    let signed = cursors.seal(&scope, &position, now);
    let open = seal_openly(&position);
    println!("signed: {} characters", signed.len());
    println!("  made in   {}", each(|| cursors.seal(&scope, &position, now)));
    println!("  opened in {}", each(|| cursors.open::<Uuid>(&scope, &signed, now)));
    println!("open: {} characters", open.len());
    println!("  made in   {}", each(|| seal_openly(&position)));
    println!("  opened in {}", each(|| URL_SAFE_NO_PAD.decode(&open)));
    Ok(())
}

/// The position in base64, as many an API does it.
fn seal_openly(position: &Position<Uuid>) -> String {
    let Anchor { at, id } = &position.anchor;
    URL_SAFE_NO_PAD.encode([at.timestamp_micros().to_be_bytes().as_slice(), id.as_bytes()].concat())
}

fn each<T>(work: impl Fn() -> T) -> String {
    let started = Instant::now();
    for _ in 0..RUNS {
        black_box(work());
    }
    format!("{:.2} µs", started.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS))
}
