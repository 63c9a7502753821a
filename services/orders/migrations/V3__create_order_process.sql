CREATE TABLE order_process (
    order_id    uuid        PRIMARY KEY REFERENCES orders (id),
    step        text        NOT NULL CHECK (step IN ('reserve_stock', 'done')),
    attempts    integer     NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    traceparent text
);
CREATE INDEX order_process_due ON order_process (due_at) WHERE step <> 'done';

CREATE TABLE stock_reservations (
    order_id uuid    NOT NULL REFERENCES orders (id),
    tenant   text    NOT NULL,
    sku      text    NOT NULL,
    quantity integer NOT NULL CHECK (quantity >= 1),
    PRIMARY KEY (order_id, sku)
);

COMMENT ON TABLE order_process IS 'Where the process of an order stands; it survives whoever was working on it.';
COMMENT ON COLUMN order_process.step IS 'What is to be done next.';
COMMENT ON COLUMN order_process.due_at IS 'When somebody may take the step: a lease while one works on it, the backoff after a failure.';
COMMENT ON COLUMN order_process.traceparent IS 'W3C trace context of the request that placed the order.';
COMMENT ON TABLE stock_reservations IS 'Pieces taken out of stock for an order. The key makes a second reservation impossible.';
