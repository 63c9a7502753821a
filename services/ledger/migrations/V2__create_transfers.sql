CREATE TABLE transfers (
    id             uuid        PRIMARY KEY,
    tenant         text        NOT NULL,
    source         uuid        NOT NULL,
    destination    uuid        NOT NULL,
    amount         bigint      NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
    currency       text        NOT NULL,
    reference      text        NOT NULL CHECK (length(reference) BETWEEN 1 AND 140),
    reverses       uuid        REFERENCES transfers (id),
    state          text        NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed', 'reversed')),
    failure_reason text,
    version        integer     NOT NULL CHECK (version >= 1),
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL CHECK (updated_at >= created_at),
    CONSTRAINT transfers_of_two_accounts CHECK (source <> destination),
    CONSTRAINT transfers_failed_has_a_reason CHECK ((state = 'failed') = (failure_reason IS NOT NULL)),
    CONSTRAINT transfers_source_fits FOREIGN KEY (source, tenant, currency) REFERENCES accounts (id, tenant, currency),
    CONSTRAINT transfers_destination_fits FOREIGN KEY (destination, tenant, currency) REFERENCES accounts (id, tenant, currency)
);
-- A reversal that failed has moved no money, so another one may follow.
CREATE UNIQUE INDEX transfers_are_reversed_once ON transfers (reverses) WHERE state <> 'failed';
CREATE INDEX transfers_by_time ON transfers (tenant, created_at, id);
CREATE INDEX transfers_by_state ON transfers (tenant, state, created_at, id);
CREATE INDEX transfers_by_source ON transfers (source, created_at, id);
CREATE INDEX transfers_by_destination ON transfers (destination, created_at, id);
-- Whether an account has pending transfers, of which it has few.
CREATE INDEX transfers_pending_by_source ON transfers (source) WHERE state = 'pending';
CREATE INDEX transfers_pending_by_destination ON transfers (destination) WHERE state = 'pending';

COMMENT ON TABLE transfers IS 'Transfers between two accounts of a tenant, and the state they are in.';
COMMENT ON COLUMN transfers.amount IS 'In the minor unit of the currency. Held on the source while the transfer is pending.';
COMMENT ON COLUMN transfers.reference IS 'Text of the client; can be personal data.';
COMMENT ON COLUMN transfers.reverses IS 'The transfer that this one takes back.';
COMMENT ON COLUMN transfers.version IS 'Starts at 1, grows by 1 with every change of state.';

CREATE FUNCTION refuse_illegal_transfer_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT ((OLD.state = 'pending' AND NEW.state IN ('succeeded', 'failed')) OR (OLD.state = 'succeeded' AND NEW.state = 'reversed')) THEN
        RAISE EXCEPTION 'a transfer cannot go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_legal_transition';
    END IF;
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'version % does not follow version %', NEW.version, OLD.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_next_version';
    END IF;
    IF (NEW.id, NEW.tenant, NEW.source, NEW.destination, NEW.amount, NEW.currency, NEW.reference, NEW.reverses, NEW.created_at)
        IS DISTINCT FROM
        (OLD.id, OLD.tenant, OLD.source, OLD.destination, OLD.amount, OLD.currency, OLD.reference, OLD.reverses, OLD.created_at) THEN
        RAISE EXCEPTION 'what is transferred does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfers_immutable_facts';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER transfers_refuse_illegal_change BEFORE UPDATE ON transfers
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_transfer_change();

CREATE TABLE settlements (
    transfer_id uuid        PRIMARY KEY REFERENCES transfers (id),
    attempts    integer     NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    traceparent text,
    tracestate  text        CONSTRAINT settlements_tracestate_is_bounded CHECK (octet_length(tracestate) <= 512),
    baggage     text        CONSTRAINT settlements_baggage_is_bounded CHECK (octet_length(baggage) <= 8192)
);
CREATE INDEX settlements_due ON settlements (due_at);

COMMENT ON TABLE settlements IS 'One row for each pending transfer: what remains to do.';
COMMENT ON COLUMN settlements.attempts IS 'Attempts that failed because of this transfer.';
COMMENT ON COLUMN settlements.due_at IS 'When the transfer may be settled: at once, or after a pause.';
COMMENT ON COLUMN settlements.traceparent IS 'W3C trace context of the request that made the transfer.';
COMMENT ON COLUMN settlements.tracestate IS 'W3C Trace Context: data of tracing systems. NULL without a traceparent.';
COMMENT ON COLUMN settlements.baggage IS 'W3C Baggage of the request that made the transfer, passed on unread. It can hold personal data.';
