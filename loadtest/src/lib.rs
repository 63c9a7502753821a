#![doc = include_str!("../README.md")]

pub mod connections;
pub mod engine;
pub mod observe;
mod pacer;
mod real;
pub mod reconcile;
pub mod recording;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod search;
pub mod shop;
pub mod target;
pub mod verdict;
