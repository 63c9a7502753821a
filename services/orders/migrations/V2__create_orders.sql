CREATE TABLE orders (
    id               uuid        PRIMARY KEY,
    tenant           text        NOT NULL,
    customer_email   text        NOT NULL CHECK (length(customer_email) BETWEEN 3 AND 254),
    state            text        NOT NULL CHECK (state IN ('pending', 'confirmed', 'rejected')),
    rejection_reason text,
    total_minor      bigint      NOT NULL CHECK (total_minor > 0),
    currency         text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    version          integer     NOT NULL CHECK (version >= 1),
    placed_at        timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT orders_rejected_has_a_reason CHECK ((state = 'rejected') = (rejection_reason IS NOT NULL))
);

CREATE TABLE order_lines (
    order_id         uuid    NOT NULL REFERENCES orders (id),
    line_no          integer NOT NULL CHECK (line_no >= 1),
    sku              text    NOT NULL,
    name             text    NOT NULL,
    quantity         integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000),
    unit_price_minor bigint  NOT NULL CHECK (unit_price_minor > 0),
    PRIMARY KEY (order_id, line_no),
    UNIQUE (order_id, sku)
);

CREATE TABLE order_history (
    order_id uuid        NOT NULL REFERENCES orders (id),
    version  integer     NOT NULL,
    state    text        NOT NULL,
    reason   text,
    at       timestamptz NOT NULL,
    PRIMARY KEY (order_id, version)
);

COMMENT ON TABLE orders IS 'Orders and the state they are in. Confirmed and rejected are final.';
COMMENT ON COLUMN orders.customer_email IS 'Personal data.';
COMMENT ON COLUMN orders.version IS 'Starts at 1, grows by 1 with every change of state.';
COMMENT ON TABLE order_lines IS 'Name and price are those of the time of the order.';
COMMENT ON TABLE order_history IS 'Every state an order was in, written with the change itself.';

-- The types of the order service make an illegal transition impossible to write down; this makes it impossible to store.
CREATE FUNCTION refuse_illegal_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (OLD.state = 'pending' AND NEW.state IN ('confirmed', 'rejected')) THEN
        RAISE EXCEPTION 'an order cannot go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_legal_transition';
    END IF;
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'version % does not follow version %', NEW.version, OLD.version
            USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_next_version';
    END IF;
    IF (NEW.id, NEW.tenant, NEW.customer_email, NEW.total_minor, NEW.currency, NEW.placed_at)
        IS DISTINCT FROM (OLD.id, OLD.tenant, OLD.customer_email, OLD.total_minor, OLD.currency, OLD.placed_at) THEN
        RAISE EXCEPTION 'what was ordered does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_immutable_facts';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER orders_refuse_illegal_change BEFORE UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_order_change();
