CREATE TABLE outbox (
    seq         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id    uuid        NOT NULL,
    topic       text        NOT NULL,
    key         text        NOT NULL,
    event_type  text        NOT NULL,
    payload     bytea       NOT NULL,
    traceparent text,
    occurred_at timestamptz NOT NULL,
    inserted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Below the broker's default limit of 1 MiB for a message, headers included: what is in here can be published.
    CONSTRAINT outbox_payload_fits_a_message CHECK (octet_length(payload) <= 900000)
);

COMMENT ON TABLE outbox IS 'Events that wait to be published: inserted with the state change, deleted once the broker has them.';
COMMENT ON COLUMN outbox.seq IS 'Publishing order within a key, because whoever writes holds the row lock of its aggregate.';
COMMENT ON COLUMN outbox.payload IS 'Confluent wire format; the schema id was fixed when the event happened.';
COMMENT ON COLUMN outbox.traceparent IS 'W3C trace context of what caused the event.';
COMMENT ON COLUMN outbox.inserted_at IS 'By the clock of the database, for the age of what waits; occurred_at is by that of the writer.';
