-- Old code meets this schema while replicas are replaced: it writes finished rows as before, purges none that is unfinished
-- (they never expire), and takes an unfinished one for a key that another route used.
ALTER TABLE idempotency_keys
    ALTER COLUMN status  DROP NOT NULL,
    ALTER COLUMN headers DROP NOT NULL,
    ALTER COLUMN body    DROP NOT NULL,
    ADD COLUMN operation      text,
    ADD COLUMN input          jsonb,
    ADD COLUMN owner          uuid,
    ADD COLUMN lease_until    timestamptz,
    ADD COLUMN fence          bigint   NOT NULL DEFAULT 0,
    ADD COLUMN attempts       integer  NOT NULL DEFAULT 0,
    ADD COLUMN recovery_point text,
    ADD COLUMN steps          jsonb,
    ADD CONSTRAINT idempotency_keys_finished_or_owned CHECK (
        (status IS NOT NULL AND headers IS NOT NULL AND body IS NOT NULL)
        OR (status IS NULL AND headers IS NULL AND body IS NULL
            AND operation IS NOT NULL AND input IS NOT NULL AND owner IS NOT NULL AND lease_until IS NOT NULL
            AND fence >= 1 AND attempts >= 1 AND recovery_point IS NOT NULL AND steps IS NOT NULL)),
    ADD CONSTRAINT idempotency_keys_unfinished_never_expires CHECK (status IS NOT NULL OR expires_at = 'infinity');

CREATE INDEX idempotency_keys_unfinished ON idempotency_keys (operation, lease_until) WHERE status IS NULL;

COMMENT ON TABLE idempotency_keys IS 'First responses by Idempotency-Key, written in the transaction of their effect; and operations that reach outside the database, until they have one.';
COMMENT ON COLUMN idempotency_keys.status IS 'NULL while an operation that reaches outside the database is unfinished.';
COMMENT ON COLUMN idempotency_keys.operation IS 'Which operation; NULL for a request whose whole effect is in the database.';
COMMENT ON COLUMN idempotency_keys.input IS 'What the operation needs from its request, for whoever takes it over; cleared when it is finished.';
COMMENT ON COLUMN idempotency_keys.owner IS 'The attempt that works on it, or did last.';
COMMENT ON COLUMN idempotency_keys.lease_until IS 'From then on another attempt may take over.';
COMMENT ON COLUMN idempotency_keys.fence IS 'Grows with every claim: an attempt with an older one can write nothing.';
COMMENT ON COLUMN idempotency_keys.attempts IS 'Attempts begun, the present one included.';
COMMENT ON COLUMN idempotency_keys.recovery_point IS 'How far it got: claimed, <step>:begun, <step>:done, finished.';
COMMENT ON COLUMN idempotency_keys.steps IS 'Results of the steps that are done, by name; cleared when it is finished.';
