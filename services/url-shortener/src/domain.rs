//! Links and their rules. Independent of HTTP servers and databases.

mod code;
mod host;
mod link;
mod public_url;
mod target;

pub(crate) use code::{Code, InvalidCode};
pub(crate) use host::Host;
pub(crate) use link::{Link, LinkFilter, Put};
pub(crate) use public_url::PublicUrl;
pub(crate) use target::{Target, TargetUrl};
