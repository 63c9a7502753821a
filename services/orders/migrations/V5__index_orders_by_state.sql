-- A list of the orders in one state, which can be a few among very many. As V4 says, make it beforehand on a large table.
CREATE INDEX IF NOT EXISTS orders_by_state ON orders (tenant, state, placed_at, id);
