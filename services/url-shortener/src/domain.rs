//! What a link is. Knows nothing of HTTP servers and databases.

mod code;
mod host;
mod host_name;
mod link;
mod link_filter;
mod public_url;
mod target;

pub(crate) use code::{Code, InvalidCode};
pub(crate) use host::Host;
pub(crate) use link::{Link, Put};
pub(crate) use link_filter::LinkFilter;
pub(crate) use public_url::PublicUrl;
pub(crate) use target::Target;
