//! Which links a list is about.

use cursor::Range;

use super::Host;

/// Which links of a tenant a list is about; what is not set does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkFilter {
    /// Where the link leads now.
    pub(crate) host: Option<Host>,
    /// When the link was first put.
    pub(crate) created: Range,
}
