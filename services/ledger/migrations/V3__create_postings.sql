CREATE TABLE postings (
    id          uuid        PRIMARY KEY,
    transfer_id uuid        NOT NULL REFERENCES transfers (id),
    account_id  uuid        NOT NULL,
    tenant      text        NOT NULL,
    amount      bigint      NOT NULL CHECK (amount <> 0 AND amount BETWEEN -9007199254740991 AND 9007199254740991),
    currency    text        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT postings_once_for_each_account UNIQUE (transfer_id, account_id),
    CONSTRAINT postings_account_fits FOREIGN KEY (account_id, tenant, currency) REFERENCES accounts (id, tenant, currency)
);
CREATE INDEX postings_by_account ON postings (account_id, created_at, id);

COMMENT ON TABLE postings IS 'Double entry: the postings of a transfer sum to zero. Rows are inserted and never change.';
COMMENT ON COLUMN postings.amount IS 'In the minor unit of the currency: positive into the account, negative out of it.';
COMMENT ON COLUMN postings.created_at IS 'Grows with every posting of an account, also if the clocks of two replicas differ.';

-- Deferred: the postings of a transfer balance at COMMIT, not after each INSERT.
CREATE FUNCTION refuse_unbalanced_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM postings WHERE transfer_id = NEW.transfer_id GROUP BY currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'the postings of transfer % do not sum to zero', NEW.transfer_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_sum_to_zero';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER postings_refuse_unbalanced AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_postings();

CREATE FUNCTION refuse_posting_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'postings never change: correct a transfer by its reversal'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_are_append_only';
END
$$;

CREATE TRIGGER postings_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_posting_change();
