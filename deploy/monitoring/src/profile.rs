//! Profiles: two time scales of the rules.

use crate::window::Window;

/// One of two sets of rules that differ only in the length of every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Windows for objectives over 30 days.
    Production,
    /// Every window divided by sixty, for drills of minutes.
    Drill,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Production, Self::Drill];

    /// The name in paths and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Drill => "drill",
        }
    }

    /// Scales a window of production to this profile.
    pub(crate) fn scale(self, window: Window) -> Window {
        match self {
            Self::Production => window,
            Self::Drill => window.sixtieth(),
        }
    }
}
