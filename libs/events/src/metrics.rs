//! Every metric of this library.

telemetry::metrics! {
    // Outcomes: found, unknown, unavailable, and limited, which waits for other lookups.
    /// Lookups of a writer's schema in the registry, by outcome.
    pub(crate) LOOKUPS: IntCounterVec = "events_schema_lookups_total" [outcome];
}
