//! What a link is. Knows nothing of HTTP servers and databases.

mod code;
mod link;
mod public_url;
mod target;

pub(crate) use code::{Code, InvalidCode};
pub(crate) use link::{Link, Put};
pub(crate) use public_url::PublicUrl;
pub(crate) use target::{InvalidTarget, Target};
