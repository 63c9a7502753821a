//! Where a page begins.

use crate::Anchor;

/// Where a page begins, and to which side of it the page lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<K> {
    /// The side.
    pub toward: Toward,
    /// Whether the anchor's own row belongs to the page.
    pub start: Start,
    /// The row that the page lies beside.
    pub anchor: Anchor<K>,
}

/// A side of an anchor, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    /// What comes later in the list.
    Next,
    /// What comes earlier in the list.
    Prev,
}

/// How a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Beyond the anchor: its row was on the page before.
    Beyond,
    /// With the anchor, if it is still there: the way back from an empty page.
    At,
}
