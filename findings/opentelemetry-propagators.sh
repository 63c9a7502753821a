#!/usr/bin/env bash
# opentelemetry_sdk 0.33.1: how its propagators read the headers of W3C Trace Context and W3C Baggage.
#
# Expected: a value of baggage may contain any number of `=` (Baggage, "value"). A trace id has 32 digits and a parent id 16 (Trace Context,
# "traceparent Header Field Values"). Keys of `tracestate` may contain several `@` (Level 2, "Key"), a value contains no `=`, and an empty header
# should not be sent.
# Seen: `BaggagePropagator` cuts a value at its second `=`: `token=YWJj==` becomes `token=YWJj`. `TraceContextPropagator` accepts
# `00-1-2-01`, discards the whole `tracestate` for one key with two `@` or one member without `=`, turns `a==b` into `a=b`, and sends an empty
# `tracestate`. A space after a comma in `tracestate` is read correctly.
#
# Needs cargo. Takes some seconds.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "propagators"
version = "0.1.0"
edition = "2021"

[dependencies]
opentelemetry = { version = "=0.33.1", default-features = false, features = ["trace"] }
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["trace"] }
TOML
cat >src/main.rs <<'RUST'
use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// What is sent to the next service after a request with these headers.
fn passed_on(propagator: &dyn TextMapPropagator, headers: &[(&str, &str)]) -> HashMap<String, String> {
    let received: HashMap<String, String> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let mut sent = HashMap::new();
    propagator.inject_context(&propagator.extract(&received), &mut sent);
    sent
}

fn check(what: &str, sent: Option<&String>, expected_today: Option<&str>) {
    println!("{what}: {sent:?}");
    assert_eq!(sent.map(String::as_str), expected_today, "changed: {what}");
}

fn main() {
    let baggage = |value| passed_on(&BaggagePropagator::new(), &[("baggage", value)]);
    check("baggage token=YWJj==", baggage("token=YWJj==").get("baggage"), Some("token=YWJj"));

    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let trace = |headers: &[_]| passed_on(&TraceContextPropagator::new(), headers);
    let short = "00-00000000000000000000000000000001-0000000000000002-01";
    check("traceparent 00-1-2-01", trace(&[("traceparent", "00-1-2-01")]).get("traceparent"), Some(short));
    let state = |value| trace(&[parent, ("tracestate", value)]).remove("tracestate");
    check("tracestate vendor=1, other=2", state("vendor=1, other=2").as_ref(), Some("vendor=1,other=2"));
    check("tracestate 0@a@b=1,other=2", state("0@a@b=1,other=2").as_ref(), Some(""));
    check("tracestate vendor=1,other", state("vendor=1,other").as_ref(), Some(""));
    check("tracestate a==b", state("a==b").as_ref(), Some("a=b"));
    check("no tracestate", trace(&[parent]).get("tracestate"), Some(""));
}
RUST
cargo run --quiet
