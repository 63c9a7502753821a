#![doc = include_str!("../README.md")]

pub mod api;
pub mod bench;
pub mod connections;
pub mod engine;
pub mod imap;
pub mod kafka;
pub mod mailbox;
pub mod observe;
mod pacer;
pub mod reconcile;
pub mod recording;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod search;
pub mod shop;
pub mod smtp;
pub mod target;
pub mod traces;
mod verdict;
