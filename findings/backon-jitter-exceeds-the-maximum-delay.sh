#!/usr/bin/env bash
# backon 1.6.0: the maximum delay of an exponential backoff with jitter.
#
# Expected: `with_max_delay(1 s)` bounds each pause, with or without `with_jitter()`; jitter spreads a pause below the bound, as "full
# jitter" and "equal jitter" do.
# Seen: jitter of up to the whole pause is added after the bound was applied, so pauses reach nearly 2 s, and none is shorter than without
# jitter. A budget or a lease that is computed from the maximum delay is exceeded. To bound a pause by D, set a maximum delay of D / 2.
#
# Needs cargo. Takes some seconds.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "pauses"
version = "0.1.0"
edition = "2021"

[dependencies]
backon = { version = "=1.6.0", default-features = false, features = ["std"] }
TOML
cat >src/main.rs <<'RUST'
use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

fn main() {
    let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
    let plain = ExponentialBuilder::new().with_min_delay(min).with_max_delay(max).with_max_times(2_000);
    let longest = |builder: ExponentialBuilder| builder.build().max().unwrap_or_default();
    println!("longest pause without jitter: {:?}", longest(plain));
    let jittered: Vec<Duration> = plain.with_jitter().with_jitter_seed(1).build().collect();
    let longer = jittered.iter().filter(|pause| **pause > max).count();
    println!("longest pause with jitter: {:?}, {longer} of {} above the maximum delay", jittered.iter().max(), jittered.len());
    let shorter = plain.build().zip(&jittered).filter(|(plain, jittered)| *jittered < plain).count();
    println!("pauses that jitter made shorter: {shorter}");
    assert_eq!(longest(plain), max, "changed: the maximum delay does not hold without jitter");
    assert!(longer > 1_900 && jittered.iter().all(|pause| *pause < 2 * max), "changed: the maximum delay holds with jitter");
    assert_eq!(shorter, 0, "changed: jitter shortens pauses");
}
RUST
cargo run --quiet
