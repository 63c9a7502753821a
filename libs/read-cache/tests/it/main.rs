//! The cache in front of a source that is slow, fails and changes on command. Time is tokio's, and stands still but for waits.

#![expect(clippy::unwrap_used, reason = "test harness")]

mod age;
mod bounds;
mod fence;
mod loads;
mod refresh;
mod source;
