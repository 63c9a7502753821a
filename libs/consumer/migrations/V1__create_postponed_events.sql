CREATE TABLE postponed_events (
    consumer_group text        NOT NULL,
    topic          text        NOT NULL,
    partition      integer     NOT NULL,
    "offset"       bigint      NOT NULL,
    place          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    key            bytea,
    event_id       uuid        NOT NULL,
    payload        bytea,
    header_names   text[]      NOT NULL,
    header_values  bytea[]     NOT NULL,
    written_at     timestamptz NOT NULL,
    postponed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    retries        integer     NOT NULL DEFAULT 0 CHECK (retries >= 0),
    due_at         timestamptz,
    is_late        boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (consumer_group, topic, partition, "offset"),
    CONSTRAINT postponed_events_headers_are_pairs CHECK (cardinality(header_names) = cardinality(header_values))
);
CREATE INDEX postponed_events_line ON postponed_events (consumer_group, topic, key, place);

COMMENT ON TABLE postponed_events IS 'Events that left their topic and are not handled: the first of its key is in a retry topic, the others wait behind it.';
COMMENT ON COLUMN postponed_events.topic IS 'Where the event came from, as partition and offset.';
COMMENT ON COLUMN postponed_events.place IS 'Order of the events of a key.';
COMMENT ON COLUMN postponed_events.key IS 'Events with this key wait while a row has it. NULL: the event has no order.';
COMMENT ON COLUMN postponed_events.header_names IS 'Headers as they were, repeated names included; values in header_values, NULL where the header had none.';
COMMENT ON COLUMN postponed_events.written_at IS 'Timestamp of the record in its topic.';
COMMENT ON COLUMN postponed_events.retries IS 'Retry topics that the event was sent to.';
COMMENT ON COLUMN postponed_events.due_at IS 'When the copy in the retry topic is due. A first event that is long overdue is sent again: its copy was lost. NULL: it waits behind another.';
COMMENT ON COLUMN postponed_events.is_late IS 'Counted in consumer_late_total.';
