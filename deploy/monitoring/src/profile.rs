//! How fast time runs for the rules.

use crate::window::Window;

/// One of two sets of rules that differ in nothing but the length of every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Windows as objectives over 30 days ask for.
    Production,
    /// Every window a sixtieth of that, so that a drill of minutes goes through what takes hours.
    Drill,
}

impl Profile {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Production, Self::Drill];

    /// The name in paths and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Drill => "drill",
        }
    }

    /// What a window of production is in this profile.
    pub(crate) fn scale(self, window: Window) -> Window {
        match self {
            Self::Production => window,
            Self::Drill => window.sixtieth(),
        }
    }
}
