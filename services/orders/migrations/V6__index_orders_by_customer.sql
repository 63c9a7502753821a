-- A list of one customer's orders. As V4 says, make it beforehand on a large table.
CREATE INDEX IF NOT EXISTS orders_by_customer ON orders (tenant, customer_email, placed_at, id);
