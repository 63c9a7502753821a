//! The parts a stack is made of, one module each.

pub(crate) mod alertmanager;
pub(crate) mod database;
pub(crate) mod jvm;
pub(crate) mod kafka;
pub(crate) mod mailbox;
pub(crate) mod pager;
pub(crate) mod postgres;
pub(crate) mod prometheus;
pub(crate) mod registry;
pub(crate) mod services;
pub(crate) mod traces;
