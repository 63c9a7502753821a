#![doc = include_str!("../README.md")]

mod anchor;
mod cursors;
mod error;
mod key;
mod limit;
mod link;
mod list;
mod moment;
mod position;
mod range;
mod scope;
mod sort;
mod token;
mod window;

pub use anchor::{Anchor, AnchorId};
pub use cursors::Cursors;
pub use error::CursorError;
pub use key::{CursorKeys, InvalidCursorKeys};
pub use limit::{InvalidLimit, Limit};
pub use list::{List, Page};
pub use moment::{InvalidMoment, Moment};
pub use position::{Position, Start, Toward};
pub use range::{EmptyRange, Range};
pub use scope::Scope;
pub use sort::{InvalidSort, Sort};
pub use window::{Scan, Window};
