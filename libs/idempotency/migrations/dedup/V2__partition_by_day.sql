-- A partition for each day (UTC) of the event ids: see docs/adr/0042.

-- The lowest UUIDv7 of a day: its first 48 bits are milliseconds since 1970 (RFC 9562, section 5.7).
CREATE FUNCTION first_uuidv7_of(day date) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM day::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Splits a table with the primary key `event_id`, or one that has it, into partitions by day. The table becomes the partition of today and of
-- all days before. Ids that are of no day until then, such as those that are no UUIDv7, move to the default partition, which also takes every
-- later one without a partition, so that no insert fails.
CREATE FUNCTION partition_events_by_day(name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    today    date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    tomorrow uuid := first_uuidv7_of(today + 1);
    old      text := format('%s_%s', name, to_char(today, 'YYYYMMDD'));
    key      text := (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = name::regclass AND contype = 'p');
BEGIN
    EXECUTE format('ALTER TABLE %I RENAME TO %I', name, old);
    EXECUTE format('ALTER INDEX %I RENAME TO %I', name || '_pkey', old || '_pkey');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS, %s)
        PARTITION BY RANGE (event_id)', name, old, key);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', name || '_default', name);
    EXECUTE format('WITH moved AS (DELETE FROM %I WHERE event_id >= %L RETURNING *) INSERT INTO %I SELECT * FROM moved', old, tomorrow, name);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', name, old, tomorrow);
END
$$;

-- Makes the partitions of the days ahead. No writer waits: ATTACH takes SHARE UPDATE EXCLUSIVE. `storage` are parameters of each partition.
CREATE FUNCTION create_event_partitions(name text, storage text DEFAULT 'fillfactor = 100', ahead integer DEFAULT 3)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    today     date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    created   bigint := 0;
    partition text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('event partitions'), hashtext(name)) THEN
        RETURN 0;
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR day IN 0..ahead LOOP
        partition := format('%s_%s', name, to_char(today + day, 'YYYYMMDD'));
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (%s)', partition, name, storage);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                name, partition, first_uuidv7_of(today + day), first_uuidv7_of(today + day + 1));
            created := created + 1;
        EXCEPTION WHEN check_violation THEN
            -- The default partition already has events of this day, and keeps them.
            RAISE WARNING 'events of % are in the default partition', today + day;
        END;
    END LOOP;
    RETURN created;
END
$$;

-- Drops the partition that ended first, if that was longer ago than the retention; returns its name. Writers wait for at most the lock timeout.
CREATE FUNCTION drop_event_partition(name text, retention interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    last_day  text := to_char(((clock_timestamp() - retention) AT TIME ZONE 'UTC')::date - 1, 'YYYYMMDD');
    partition text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('event partitions'), hashtext(name)) THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('lock_timeout', '100ms', true);
    SELECT min(relname) INTO partition FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = name::regclass AND relname ~ '_\d{8}$' AND right(relname, 8) <= last_day;
    IF partition IS NOT NULL THEN
        -- The parent first, as in every other statement.
        EXECUTE format('LOCK TABLE ONLY %I, %I IN ACCESS EXCLUSIVE MODE', name, partition);
        EXECUTE format('DROP TABLE %I', partition);
    END IF;
    RETURN partition;
END
$$;

-- Only the default partition is still purged by age.
DROP INDEX processed_events_processed_at;
SELECT partition_events_by_day('processed_events');
SELECT create_event_partitions('processed_events');

COMMENT ON TABLE processed_events IS
    'Events whose effect is committed: the row is written in the transaction of the effect. A partition is dropped after the retention.';
