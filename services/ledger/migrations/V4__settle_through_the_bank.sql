ALTER TABLE settlements
    ADD COLUMN fence         bigint NOT NULL DEFAULT 0,
    ADD COLUMN lease_until   timestamptz,
    ADD COLUMN instructed_at timestamptz;

COMMENT ON COLUMN settlements.attempts IS 'Attempts that did not settle the transfer: it was undecided, or they failed.';
COMMENT ON COLUMN settlements.due_at IS 'When the next attempt may begin: at once, or after a pause.';
COMMENT ON COLUMN settlements.fence IS 'Grows with every claim. An attempt with an older one writes nothing.';
COMMENT ON COLUMN settlements.lease_until IS 'No other attempt begins before this time. NULL without an attempt.';
COMMENT ON COLUMN settlements.instructed_at IS 'Set before the first call: from then on, the bank may know the transfer, and it alone decides. NULL before.';

ALTER TABLE accounts
    ADD COLUMN incoming bigint NOT NULL DEFAULT 0 CHECK (incoming >= 0),
    ADD CONSTRAINT accounts_incoming_has_room CHECK (posted + incoming <= 9007199254740991);

COMMENT ON COLUMN accounts.incoming IS 'Sum of the transfers to the account that the bank may settle: room that is reserved for them.';
