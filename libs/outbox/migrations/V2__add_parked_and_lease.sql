CREATE TABLE outbox_parked (
    seq         bigint      PRIMARY KEY,
    event_id    uuid        NOT NULL UNIQUE,
    topic       text        NOT NULL,
    key         text        NOT NULL,
    event_type  text        NOT NULL,
    payload     bytea       NOT NULL,
    traceparent text,
    occurred_at timestamptz NOT NULL,
    inserted_at timestamptz NOT NULL,
    parked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason      text        NOT NULL
);

COMMENT ON TABLE outbox_parked IS 'Events that the broker refuses even alone. Later events of the same topic and key stay in outbox and wait.';
COMMENT ON COLUMN outbox_parked.seq IS 'As it was in outbox, and will be again: an event that is put back keeps its place.';
COMMENT ON COLUMN outbox_parked.reason IS 'What the broker said.';

CREATE TABLE outbox_lease (
    is_the_one  boolean     PRIMARY KEY DEFAULT true CHECK (is_the_one),
    fence       bigint      NOT NULL DEFAULT 0,
    session     integer,
    lease_until timestamptz
);

INSERT INTO outbox_lease DEFAULT VALUES;

COMMENT ON TABLE outbox_lease IS 'One row: which relay publishes.';
COMMENT ON COLUMN outbox_lease.fence IS 'Grows with each change of the lead; a relay with an older one reads and deletes nothing.';
COMMENT ON COLUMN outbox_lease.session IS 'Process id of the server''s end of the session that leads; when it has ended, the lead is free before its time.';
COMMENT ON COLUMN outbox_lease.lease_until IS 'By the clock of the database; renewed while the relay runs, NULL when it gave the lead back.';

CREATE FUNCTION outbox_requeue(which uuid DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
    WITH parked AS (DELETE FROM outbox_parked WHERE which IS NULL OR event_id = which RETURNING *),
    back AS (
        INSERT INTO outbox (seq, event_id, topic, key, event_type, payload, traceparent, occurred_at, inserted_at)
            OVERRIDING SYSTEM VALUE
        SELECT seq, event_id, topic, key, event_type, payload, traceparent, occurred_at, inserted_at FROM parked
        RETURNING seq)
    SELECT count(*) FROM back
$$;

COMMENT ON FUNCTION outbox_requeue IS 'Puts a parked event, or all, back to its place in the outbox, before the later ones of its key.';
