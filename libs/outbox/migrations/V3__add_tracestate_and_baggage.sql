-- Beside the payload, these are within the broker's limit for a message, too.
ALTER TABLE outbox
    ADD COLUMN tracestate text CONSTRAINT outbox_tracestate_is_bounded CHECK (octet_length(tracestate) <= 512),
    ADD COLUMN baggage    text CONSTRAINT outbox_baggage_is_bounded CHECK (octet_length(baggage) <= 8192);

ALTER TABLE outbox_parked
    ADD COLUMN tracestate text CONSTRAINT outbox_parked_tracestate_is_bounded CHECK (octet_length(tracestate) <= 512),
    ADD COLUMN baggage    text CONSTRAINT outbox_parked_baggage_is_bounded CHECK (octet_length(baggage) <= 8192);

COMMENT ON COLUMN outbox.tracestate IS 'W3C Trace Context: data of tracing systems, such as a sampling decision. NULL without a traceparent.';
COMMENT ON COLUMN outbox.baggage IS 'W3C Baggage of the request that caused the event, passed on unread. It can hold personal data.';

CREATE OR REPLACE FUNCTION outbox_requeue(which uuid DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
    WITH parked AS (DELETE FROM outbox_parked WHERE which IS NULL OR event_id = which RETURNING *),
    back AS (
        INSERT INTO outbox
            (seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at)
            OVERRIDING SYSTEM VALUE
        SELECT seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at
        FROM parked
        RETURNING seq)
    SELECT count(*) FROM back
$$;
