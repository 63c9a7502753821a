//! Time in tests: one step is a minute in production and a second in a drill.

/// The profile under test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Production,
    Drill,
}

impl Pace {
    pub(crate) const BOTH: [Self; 2] = [Self::Production, Self::Drill];

    /// The directory of its rules.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Drill => "drill",
        }
    }

    /// How many seconds a minute of production takes.
    pub(crate) fn minute(self) -> u64 {
        match self {
            Self::Production => 60,
            Self::Drill => 1,
        }
    }

    /// One of two texts.
    pub(crate) fn either(self, production: &'static str, drill: &'static str) -> &'static str {
        match self {
            Self::Production => production,
            Self::Drill => drill,
        }
    }
}
