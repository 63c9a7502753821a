#![doc = include_str!("../README.md")]

mod cursor;
mod keys;
mod page;
mod request;
mod time_range;
mod token;

pub use cursor::{Boundary, CursorError, Cursors, Direction, Position, SortKey, TieBreaker};
pub use keys::{CursorKeys, InvalidCursorKeys};
pub use page::{List, Page, PageQuery, Scan};
pub use request::{InvalidLimit, InvalidSort, Limit, Scope, Sort};
pub use time_range::{EmptyTimeRange, InvalidTimestamp, TimeRange, Timestamp};
