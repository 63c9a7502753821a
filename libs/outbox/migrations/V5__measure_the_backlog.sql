-- So that every replica can count what is not published, without reading what is: see docs/adr/0043.
ALTER TABLE outbox_bucket
    ADD COLUMN read_up_to       bigint      NOT NULL DEFAULT 0,
    ADD COLUMN n_unpublished    bigint      NOT NULL DEFAULT 0,
    ADD COLUMN newest_published timestamptz;

COMMENT ON COLUMN outbox_bucket.read_up_to IS 'The owner has read the events up to this seq. Below published_up_to if a relay of an earlier release is the owner.';
COMMENT ON COLUMN outbox_bucket.n_unpublished IS 'The events between published_up_to and read_up_to that are neither published nor parked.';
COMMENT ON COLUMN outbox_bucket.newest_published IS 'inserted_at of the newest published event.';
