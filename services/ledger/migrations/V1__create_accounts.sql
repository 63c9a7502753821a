CREATE TABLE currencies (code text PRIMARY KEY);

COMMENT ON TABLE currencies IS 'Currencies of ISO 4217 that have a minor unit, also those that were withdrawn lately.';

INSERT INTO currencies (code) VALUES
    ('AED'), ('AFN'), ('ALL'), ('AMD'), ('AOA'), ('ARS'), ('AUD'), ('AWG'), ('AZN'), ('BAM'), ('BBD'), ('BDT'), ('BGN'), ('BHD'),
    ('BIF'), ('BMD'), ('BND'), ('BOB'), ('BOV'), ('BRL'), ('BSD'), ('BTN'), ('BWP'), ('BYN'), ('BZD'), ('CAD'), ('CDF'), ('CHE'),
    ('CHF'), ('CHW'), ('CLF'), ('CLP'), ('CNY'), ('COP'), ('COU'), ('CRC'), ('CUC'), ('CUP'), ('CVE'), ('CZK'), ('DJF'), ('DKK'),
    ('DOP'), ('DZD'), ('EGP'), ('ERN'), ('ETB'), ('EUR'), ('FJD'), ('FKP'), ('GBP'), ('GEL'), ('GHS'), ('GIP'), ('GMD'), ('GNF'),
    ('GTQ'), ('GYD'), ('HKD'), ('HNL'), ('HRK'), ('HTG'), ('HUF'), ('IDR'), ('ILS'), ('INR'), ('IQD'), ('IRR'), ('ISK'), ('JMD'),
    ('JOD'), ('JPY'), ('KES'), ('KGS'), ('KHR'), ('KMF'), ('KPW'), ('KRW'), ('KWD'), ('KYD'), ('KZT'), ('LAK'), ('LBP'), ('LKR'),
    ('LRD'), ('LSL'), ('LYD'), ('MAD'), ('MDL'), ('MGA'), ('MKD'), ('MMK'), ('MNT'), ('MOP'), ('MRU'), ('MUR'), ('MVR'), ('MWK'),
    ('MXN'), ('MXV'), ('MYR'), ('MZN'), ('NAD'), ('NGN'), ('NIO'), ('NOK'), ('NPR'), ('NZD'), ('OMR'), ('PAB'), ('PEN'), ('PGK'),
    ('PHP'), ('PKR'), ('PLN'), ('PYG'), ('QAR'), ('RON'), ('RSD'), ('RUB'), ('RWF'), ('SAR'), ('SBD'), ('SCR'), ('SDG'), ('SEK'),
    ('SGD'), ('SHP'), ('SLE'), ('SLL'), ('SOS'), ('SRD'), ('SSP'), ('STN'), ('SVC'), ('SYP'), ('SZL'), ('THB'), ('TJS'), ('TMT'),
    ('TND'), ('TOP'), ('TRY'), ('TTD'), ('TWD'), ('TZS'), ('UAH'), ('UGX'), ('USD'), ('USN'), ('UYI'), ('UYU'), ('UYW'), ('UZS'),
    ('VED'), ('VES'), ('VND'), ('VUV'), ('WST'), ('XAD'), ('XAF'), ('XCD'), ('XCG'), ('XOF'), ('XPF'), ('YER'), ('ZAR'), ('ZMW'),
    ('ZWG'), ('ZWL');

CREATE TABLE accounts (
    id           uuid        PRIMARY KEY,
    tenant       text        NOT NULL CHECK (tenant ~ '^[a-z0-9-]{1,63}$'),
    name         text        CHECK (length(name) BETWEEN 1 AND 200),
    kind         text        NOT NULL CHECK (kind IN ('customer', 'merchant', 'clearing')),
    currency     text        NOT NULL CONSTRAINT accounts_currency_is_known REFERENCES currencies (code),
    may_overdraw boolean     NOT NULL,
    state        text        NOT NULL CHECK (state IN ('open', 'frozen', 'closed')),
    posted       bigint      NOT NULL CHECK (posted BETWEEN -9007199254740991 AND 9007199254740991),
    held         bigint      NOT NULL CHECK (held >= 0),
    version      bigint      NOT NULL CHECK (version >= 1),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL CHECK (updated_at >= created_at),
    -- The target of foreign keys: a transfer stays inside one tenant and one currency.
    CONSTRAINT accounts_tenant_and_currency UNIQUE (id, tenant, currency),
    CONSTRAINT accounts_available_is_not_negative CHECK (may_overdraw OR posted >= held),
    CONSTRAINT accounts_closed_is_empty CHECK (state <> 'closed' OR (posted = 0 AND held = 0))
);
CREATE INDEX accounts_by_time ON accounts (tenant, created_at, id);

COMMENT ON TABLE accounts IS 'Accounts and their balances. Rows are locked in order of id, before a transfer is accepted or settled.';
COMMENT ON COLUMN accounts.name IS 'For people; can be personal data.';
COMMENT ON COLUMN accounts.kind IS 'For reports; no rule depends on it.';
COMMENT ON COLUMN accounts.posted IS 'Sum of the postings of the account, in the minor unit of the currency. Changes in the transaction that inserts them.';
COMMENT ON COLUMN accounts.held IS 'Sum of the pending transfers from the account. posted - held is available.';
COMMENT ON COLUMN accounts.version IS 'Starts at 1, grows with every change.';

-- The types of the service make an illegal change impossible to write down; this makes it impossible to store.
CREATE FUNCTION refuse_illegal_account_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'closed' THEN
        RAISE EXCEPTION 'a closed account does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_closed_is_final';
    END IF;
    IF (NEW.id, NEW.tenant, NEW.kind, NEW.currency, NEW.may_overdraw, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.tenant, OLD.kind, OLD.currency, OLD.may_overdraw, OLD.created_at) THEN
        RAISE EXCEPTION 'what an account is does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_immutable_facts';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER accounts_refuse_illegal_change BEFORE UPDATE ON accounts
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_account_change();
