-- Several relays publish, and rows are kept until their partition is dropped: see docs/adr/0036.
LOCK TABLE outbox, outbox_parked IN ACCESS EXCLUSIVE MODE;

ALTER TABLE outbox RENAME TO outbox_before;
ALTER INDEX outbox_pkey RENAME TO outbox_before_pkey;
ALTER SEQUENCE outbox_seq_seq RENAME TO outbox_before_seq_seq;

CREATE TABLE outbox (
    seq         bigint      GENERATED ALWAYS AS IDENTITY,
    event_id    uuid        NOT NULL,
    topic       text        NOT NULL,
    key         text        NOT NULL,
    event_type  text        NOT NULL,
    payload     bytea       NOT NULL,
    traceparent text,
    tracestate  text,
    baggage     text,
    occurred_at timestamptz NOT NULL,
    inserted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- SHA-256, because the value must stay the same in another cluster and another version, where a backup is restored.
    bucket      smallint    NOT NULL GENERATED ALWAYS AS
        ((get_byte(sha256(replace(key, '\', '\\')::bytea), 0) % 16)::smallint) STORED,
    PRIMARY KEY (bucket, seq, inserted_at),
    -- Below the broker's default limit of 1 MiB for a message, headers included: what is in here can be published.
    CONSTRAINT outbox_payload_fits_a_message CHECK (octet_length(payload) <= 900000),
    CONSTRAINT outbox_tracestate_is_bounded CHECK (octet_length(tracestate) <= 512),
    CONSTRAINT outbox_baggage_is_bounded CHECK (octet_length(baggage) <= 8192)
) PARTITION BY RANGE (inserted_at);

-- Takes what no other partition takes, so that no insert fails; the day partitions are made ahead of time.
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;

COMMENT ON TABLE outbox IS 'Events: inserted with the state change, never updated or deleted; a partition is dropped a day after its end.';
COMMENT ON COLUMN outbox.seq IS 'Publishing order within a key, because a writer holds the row lock of its aggregate.';
COMMENT ON COLUMN outbox.payload IS 'Confluent wire format; the schema id was fixed when the event happened.';
COMMENT ON COLUMN outbox.traceparent IS 'W3C trace context of what caused the event.';
COMMENT ON COLUMN outbox.tracestate IS 'W3C Trace Context: data of tracing systems, such as a sampling decision. NULL without a traceparent.';
COMMENT ON COLUMN outbox.baggage IS 'W3C Baggage of the request that caused the event, passed on unread. It can hold personal data.';
COMMENT ON COLUMN outbox.inserted_at IS 'By the clock of the database, for the age of what waits; occurred_at is by that of the writer.';
COMMENT ON COLUMN outbox.bucket IS 'The unit that a relay owns; all events of a key have the same.';

ALTER TABLE outbox_parked
    ADD COLUMN refused boolean NOT NULL DEFAULT true,
    ADD COLUMN bucket smallint NOT NULL GENERATED ALWAYS AS
        ((get_byte(sha256(replace(key, '\', '\\')::bytea), 0) % 16)::smallint) STORED;
CREATE INDEX outbox_parked_key ON outbox_parked (topic, key, seq);

COMMENT ON TABLE outbox_parked IS 'Events that the broker refuses even alone, and later events of the same topic and key, which wait for them.';
COMMENT ON COLUMN outbox_parked.seq IS 'As in outbox: the events of a key are published in this order.';
COMMENT ON COLUMN outbox_parked.refused IS 'Waits for a person. The others are published as soon as no earlier event of their key is refused.';
COMMENT ON COLUMN outbox_parked.parked_at IS 'When it was parked or put back.';
COMMENT ON COLUMN outbox_parked.reason IS 'What the broker said, or what the event waits for.';

CREATE TABLE outbox_bucket (
    bucket          smallint    PRIMARY KEY,
    fence           bigint      NOT NULL DEFAULT 0,
    session         integer,
    lease_until     timestamptz,
    published_up_to bigint      NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

INSERT INTO outbox_bucket (bucket) SELECT generate_series(0, 15);
-- Or the planner expects a thousand buckets.
ANALYZE outbox_bucket;

COMMENT ON TABLE outbox_bucket IS 'Which relay publishes the events of a bucket, and how far it has come.';
COMMENT ON COLUMN outbox_bucket.fence IS 'Grows with each change of the owner; a relay with an older one reads and writes nothing.';
COMMENT ON COLUMN outbox_bucket.session IS 'Process id of the server''s end of the owner''s session; when it has ended, the bucket is free before its time.';
COMMENT ON COLUMN outbox_bucket.lease_until IS 'By the clock of the database; renewed while the relay runs, NULL when it gave the bucket back.';
COMMENT ON COLUMN outbox_bucket.published_up_to IS 'Every event of the bucket up to this seq is published or parked. Some above it are published, too.';

CREATE TABLE outbox_relay (
    session     integer     PRIMARY KEY,
    alive_until timestamptz NOT NULL
) WITH (fillfactor = 50);

COMMENT ON TABLE outbox_relay IS 'The relays that share the buckets.';

DROP TABLE outbox_lease;

-- Events that a relay can publish and has not, as far as the database knows: up to 0.2 s behind.
CREATE VIEW outbox_unpublished AS
SELECT o.seq, o.bucket, o.event_id, o.topic, o.key, o.event_type, o.inserted_at AS waits_since
FROM outbox_bucket b
JOIN outbox o ON o.bucket = b.bucket AND o.seq > b.published_up_to
WHERE NOT EXISTS (SELECT FROM outbox_parked p WHERE p.topic = o.topic AND p.key = o.key)
UNION ALL
SELECT p.seq, p.bucket, p.event_id, p.topic, p.key, p.event_type, p.parked_at
FROM outbox_parked p
WHERE NOT EXISTS (
    SELECT FROM outbox_parked r WHERE r.topic = p.topic AND r.key = p.key AND r.refused AND r.seq <= p.seq);

-- The highest seq that was given out, and then the transactions that can still commit a row up to it: a writer locks the table
-- before it takes a seq, and keeps the lock to its end. The order of the two statements matters.
CREATE FUNCTION outbox_horizon(OUT upper bigint, OUT writers text[]) LANGUAGE plpgsql AS $$
BEGIN
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO upper FROM outbox_seq_seq;
    SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') INTO writers FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND relation = 'outbox'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
END
$$;

CREATE OR REPLACE FUNCTION outbox_requeue(which uuid DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
    WITH back AS (
        UPDATE outbox_parked SET refused = false, parked_at = clock_timestamp(), reason = 'put back: ' || reason
        WHERE refused AND (which IS NULL OR event_id = which)
        RETURNING seq)
    SELECT count(*) FROM back
$$;

COMMENT ON FUNCTION outbox_requeue IS 'Has a refused event, or all, published again, before the later ones of its key.';

-- Makes the partitions of today and the days ahead. No writer waits: ATTACH takes SHARE UPDATE EXCLUSIVE.
CREATE FUNCTION outbox_create_partitions(ahead integer DEFAULT 3) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    today   date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    created bigint := 0;
    name    text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(688270) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR day IN 0..ahead LOOP
        name := 'outbox_' || to_char(today + day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I (LIKE outbox INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)', name);
            EXECUTE format(
                'ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                name, (today + day)::timestamp AT TIME ZONE 'UTC', (today + day + 1)::timestamp AT TIME ZONE 'UTC');
            created := created + 1;
        EXCEPTION WHEN check_violation THEN
            -- outbox_default already has rows of this day, and keeps them.
            RAISE WARNING 'rows of % are in outbox_default', today + day;
        END;
    END LOOP;
    RETURN created;
END
$$;

-- Whether each event of a partition is published or parked. An outbox_default without events is not done.
CREATE FUNCTION outbox_is_done(partition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    done boolean;
BEGIN
    EXECUTE format(
        'SELECT NOT EXISTS (SELECT FROM outbox_bucket b CROSS JOIN LATERAL (
                SELECT FROM %1$I o WHERE o.bucket = b.bucket AND o.seq > b.published_up_to LIMIT 1) o)
            AND (%1$L <> ''outbox_default'' OR EXISTS (SELECT FROM %1$I))', partition) INTO done;
    RETURN done;
END
$$;

-- Drops one partition that ended before this time and whose events are all published or parked, or empties outbox_default if its
-- events are; returns its name. Writers wait for at most the lock timeout.
CREATE FUNCTION outbox_drop_partition(ended_before timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    last_day text := to_char((ended_before AT TIME ZONE 'UTC')::date - 1, 'YYYYMMDD');
    name     text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(688270) THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR name IN
        SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
        WHERE inhparent = 'outbox'::regclass
            AND (relname ~ '^outbox_\d{8}$' AND relname <= 'outbox_' || last_day OR relname = 'outbox_default')
        ORDER BY relname
    LOOP
        CONTINUE WHEN NOT outbox_is_done(name);
        -- A writer may have committed since; the lock on outbox comes first, as in every other statement.
        EXECUTE format('LOCK TABLE ONLY outbox, %I IN ACCESS EXCLUSIVE MODE', name);
        CONTINUE WHEN NOT outbox_is_done(name);
        EXECUTE format(CASE name WHEN 'outbox_default' THEN 'TRUNCATE %I' ELSE 'DROP TABLE %I' END, name);
        RETURN name;
    END LOOP;
    RETURN NULL;
END
$$;

SELECT outbox_create_partitions();

INSERT INTO outbox (seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at)
    OVERRIDING SYSTEM VALUE
SELECT seq, event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at, inserted_at FROM outbox_before;

SELECT setval('outbox_seq_seq', last_value, is_called) FROM outbox_before_seq_seq;

DROP TABLE outbox_before;
