-- The deduplication of mails is purged by dropping partitions: see docs/adr/0042. The statements of the release before this one work on the
-- partitioned table as they are. ATTACH compares the constraints, so they must be valid.
ALTER TABLE mails VALIDATE CONSTRAINT mails_kind_check;
ALTER TABLE mails VALIDATE CONSTRAINT mails_order_unless_promotion;
-- Only the default partition is still purged by age.
DROP INDEX mails_first_attempt_at;
SELECT partition_events_by_day('mails');
SELECT create_event_partitions('mails', 'fillfactor = 80');

COMMENT ON TABLE mails IS 'Mails that this service has sent or is about to send, one per event, in partitions by the day of the event id. Holds no address.';
COMMENT ON COLUMN mails.first_attempt_at IS 'When the event was first taken up. Rows of the default partition are purged by it.';
