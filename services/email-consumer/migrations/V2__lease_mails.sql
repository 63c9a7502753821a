-- Adds columns and nothing else, so that the release before this one can go on beside it.
ALTER TABLE mails
    ADD COLUMN lease_until timestamptz,
    ADD COLUMN fence       bigint NOT NULL DEFAULT 0;
-- Room for the second version of each row: its update then touches no index.
ALTER TABLE mails SET (fillfactor = 80);

COMMENT ON COLUMN mails.attempts IS 'How often the mail was claimed in order to be handed over.';
COMMENT ON COLUMN mails.lease_until IS 'In state handing_over: until when, by this server''s clock, the process that claimed the mail has it alone. NULL: it has ended.';
COMMENT ON COLUMN mails.fence IS 'Number of the claim. Only the holder of the newest one renews or ends the lease.';
