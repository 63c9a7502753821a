//! What a request is worth when not all can be answered.

/// The class of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Begins new work.
    Write,
    /// Is asked by anyone, without a token: redirects, public pages.
    Public,
    /// Asks what became of work that was begun. Shed, it would be asked again, and the work would be done for nobody.
    Read,
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Write, Self::Public, Self::Read];

    /// The label under which it is counted.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Public => "public",
            Self::Read => "read",
        }
    }

    /// Up to which share of the slots, in per cent, a request of this class still gets one. What is above is the reserve of
    /// the others.
    pub(crate) fn share_percent(self) -> u64 {
        match self {
            Self::Write => 80,
            Self::Public => 90,
            Self::Read => 100,
        }
    }
}
