-- What people decided about dead letters, one row for each attempt. The rows are the audit: none is changed after it is finished.
CREATE TABLE dead_letter_decisions (
    topic         text NOT NULL,
    partition     int NOT NULL,
    letter_offset bigint NOT NULL,
    -- A replay that was begun and not finished can be attempted again. Then the event may be in its topic twice, with the same id.
    attempt       int NOT NULL CHECK (attempt > 0),
    -- NULL when the letter has no valid event id.
    event_id      uuid,
    action        text NOT NULL CHECK (action IN ('replayed', 'discarded')),
    -- Why the letter was discarded.
    reason        text CHECK (length(reason) BETWEEN 1 AND 500),
    -- The subject of the token.
    actor         text NOT NULL,
    began_at      timestamptz NOT NULL DEFAULT now(),
    -- When the broker had acknowledged the event. NULL while a replay is in progress, or after a crash during it.
    finished_at   timestamptz,
    PRIMARY KEY (topic, partition, letter_offset, attempt),
    CHECK (action <> 'discarded' OR (reason IS NOT NULL AND finished_at IS NOT NULL))
);

CREATE INDEX dead_letter_decisions_event_id ON dead_letter_decisions (event_id);

CREATE INDEX dead_letter_decisions_began_at ON dead_letter_decisions (began_at);
