-- The figures of docs/pagination.md: `createdb pagination && psql -d pagination -f docs/pagination.sql`.
-- The statements are those of services/orders/src/store/order_list.rs, with the filters that are not set as NULL.

\set ON_ERROR_STOP on
\set QUIET on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;

\ir ../services/orders/migrations/V2__create_orders.sql
-- 800,000 orders, three in four of one tenant; one in ten thousand is rejected, and a customer has about a hundred.
INSERT INTO orders (id, tenant, customer_email, state, rejection_reason, total_minor, currency, version, placed_at, updated_at)
SELECT gen_random_uuid(), CASE WHEN n % 4 < 3 THEN 'acme' ELSE 'globex' END, 'customer-' || hashint4(n) % 4000 || '@example.com',
    CASE WHEN n % 10007 = 0 THEN 'rejected' ELSE 'confirmed' END, CASE WHEN n % 10007 = 0 THEN 'sold out' END, 100, 'EUR', 2,
    timestamptz '2025-01-01Z' + n * interval '1 second', timestamptz '2025-01-01Z' + n * interval '1 second'
FROM generate_series(1, 800000) AS n;
\ir ../services/orders/migrations/V4__index_orders_by_time.sql
\ir ../services/orders/migrations/V5__index_orders_by_state.sql
\ir ../services/orders/migrations/V6__index_orders_by_customer.sql
VACUUM ANALYZE orders;

PREPARE keyset (text, text, text, timestamptz, timestamptz, timestamptz, uuid, bigint) AS
SELECT id, customer_email, state, rejection_reason, total_minor, currency, placed_at, updated_at
FROM orders
WHERE tenant = $1
    AND ($2::text IS NULL OR state = $2)
    AND ($3::text IS NULL OR customer_email = $3)
    AND ($4::timestamptz IS NULL OR placed_at >= $4)
    AND ($5::timestamptz IS NULL OR placed_at < $5)
    AND ($6::timestamptz IS NULL OR (placed_at, id) < ($6, $7::uuid))
ORDER BY placed_at DESC, id DESC LIMIT $8;

PREPARE by_offset (text, bigint, bigint) AS
SELECT id, customer_email, state, rejection_reason, total_minor, currency, placed_at, updated_at
FROM orders WHERE tenant = $1 ORDER BY placed_at DESC, id DESC LIMIT $2 OFFSET $3;

-- What a comparison written out means to the planner.
PREPARE or_chain (text, timestamptz, uuid, bigint) AS
SELECT id, customer_email, state, rejection_reason, total_minor, currency, placed_at, updated_at
FROM orders WHERE tenant = $1 AND (placed_at < $2 OR (placed_at = $2 AND id < $3)) ORDER BY placed_at DESC, id DESC LIMIT $4;

SELECT placed_at AS at, id FROM orders WHERE tenant = 'acme' ORDER BY placed_at DESC, id DESC LIMIT 1 OFFSET 499949 \gset deep_

-- Prints the median of eleven runs: milliseconds in the server, and pages of 8 kB touched.
CREATE FUNCTION cost(statement text, OUT ms numeric, OUT pages bigint) LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    times numeric[] := '{}';
BEGIN
    FOR run IN 1..11 LOOP
        EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE ' || statement INTO plan;
        times := times || (plan -> 0 ->> 'Execution Time')::numeric + (plan -> 0 ->> 'Planning Time')::numeric;
    END LOOP;
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY time) INTO ms FROM unnest(times) AS time;
    pages := (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint;
END
$$;

\pset fieldsep '\t'
\echo 'ms\tpages\tof 50 orders of 600,000'
SET plan_cache_mode = force_custom_plan;
SELECT *, 'page 1, keyset' FROM cost($$keyset ('acme', NULL, NULL, NULL, NULL, NULL, NULL, 51)$$);
SELECT *, 'page 10,000, keyset' FROM cost(format($$keyset ('acme', NULL, NULL, NULL, NULL, %L, %L, 51)$$, :'deep_at', :'deep_id'));
SELECT *, 'page 1, offset' FROM cost($$by_offset ('acme', 51, 0)$$);
SELECT *, 'page 10,000, offset' FROM cost($$by_offset ('acme', 51, 499950)$$);
SELECT *, 'page 10,000, keyset as a chain of ORs' FROM cost(format($$or_chain ('acme', %L, %L, 51)$$, :'deep_at', :'deep_id'));
SELECT *, 'page 1 of the rejected, keyset' FROM cost($$keyset ('acme', 'rejected', NULL, NULL, NULL, NULL, NULL, 51)$$);
SELECT *, 'page 1 of one customer, keyset' FROM cost($$keyset ('acme', NULL, 'customer-17@example.com', NULL, NULL, NULL, NULL, 51)$$);
SET plan_cache_mode = force_generic_plan;
SELECT *, 'page 10,000, keyset, planned without its values' FROM cost(format($$keyset ('acme', NULL, NULL, NULL, NULL, %L, %L, 51)$$, :'deep_at', :'deep_id'));
SELECT *, 'page 1 of the rejected, keyset, planned without its values' FROM cost($$keyset ('acme', 'rejected', NULL, NULL, NULL, NULL, NULL, 51)$$);
SELECT *, 'page 1 of one customer, keyset, planned without its values' FROM cost($$keyset ('acme', NULL, 'customer-17@example.com', NULL, NULL, NULL, NULL, 51)$$);

-- A session that is older than the orders: on an empty table, planning without values looks as cheap, and that plan stays.
SET plan_cache_mode = auto;
CREATE TABLE young (LIKE orders INCLUDING ALL) WITH (autovacuum_enabled = off);
PREPARE early (text, text, bigint) AS
SELECT id FROM young WHERE tenant = $1 AND ($2::text IS NULL OR state = $2) ORDER BY placed_at DESC, id DESC LIMIT $3;
DO $$ BEGIN FOR run IN 1..6 LOOP EXECUTE $s$EXECUTE early ('acme', 'rejected', 51)$s$; END LOOP; END $$;
INSERT INTO young SELECT * FROM orders LIMIT 200000;
SELECT *, 'page 1 of the rejected among 150,000, planned when there were none' FROM cost($$early ('acme', 'rejected', 51)$$);
SET plan_cache_mode = force_custom_plan;
SELECT *, 'page 1 of the rejected among 150,000, planned with its values' FROM cost($$early ('acme', 'rejected', 51)$$);
