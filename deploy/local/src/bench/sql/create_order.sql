-- The statements of POST /v1/orders in their order, and behind them those of the step that confirms the order. Ids grow with
-- time, as UUIDv7 does; keys are random, as clients' are. A line --NAME begins a section that can be left out; --END ends it.
-- Between the pipeline commands are statements that the service has on their way together.
\set seq :seq + 1
\set key random(1, 9223372036854775806)
BEGIN;
--IDEMPOTENCY
\startpipeline
SELECT pg_try_advisory_xact_lock(hashtextextended('acme' || E'\x1f' || :key::bigint::text, 0));
SELECT fingerprint_version, method, route, query_hash, body_hash, status, headers, body, owner,
    extract(epoch FROM lease_until - now())::float8 AS lease_left_s
FROM idempotency_keys WHERE tenant = 'acme' AND key = :key::bigint::text AND expires_at > now();
\endpipeline
--END
SELECT sku, name, unit_price_minor, currency FROM products WHERE tenant = 'acme' AND sku = ANY(ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']);
\startpipeline
INSERT INTO orders
    (id, tenant, customer_email, state, total_minor, currency, version, placed_at, updated_at)
VALUES ((:id)::uuid, 'acme', 'bench@example.com', 'pending', 2130, 'EUR', 1, now(), now());
INSERT INTO order_lines (order_id, line_no, sku, name, quantity, unit_price_minor)
SELECT (:id)::uuid, * FROM unnest(ARRAY[1, 2]::int[], ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[],
    ARRAY['Sencha, 100 g', 'Earl Grey, 100 g']::text[], ARRAY[1, 1]::int[], ARRAY[1240, 890]::bigint[]);
INSERT INTO order_history (order_id, version, state, reason, at) VALUES ((:id)::uuid, 1, 'pending', NULL, now());
INSERT INTO order_process (order_id, step, due_at, traceparent)
VALUES ((:id)::uuid, 'reserve_stock', now(), '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, occurred_at)
VALUES ((:id)::uuid, 'orders.events', :id, 'muster.orders.OrderPlaced', decode(repeat('ab', 150), 'hex'),
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', now());
\endpipeline
--IDEMPOTENCY
INSERT INTO idempotency_keys
    (tenant, key, fingerprint_version, method, route, query_hash, body_hash, status, headers, body, expires_at)
VALUES ('acme', :key::bigint::text, 1, 'POST', '/v1/orders', decode(repeat('cd', 32), 'hex'), decode(repeat('ef', 32), 'hex'), 202,
    '{"content-type": "application/json", "location": "/v1/orders/01929e2c-7a3e-7c9e-8b1e-000000000000"}',
    decode(repeat('ab', 560), 'hex'), now() + make_interval(secs => 259200))
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint_version = excluded.fingerprint_version, method = excluded.method, route = excluded.route,
    query_hash = excluded.query_hash, body_hash = excluded.body_hash, status = excluded.status,
    headers = excluded.headers, body = excluded.body, created_at = now(), expires_at = excluded.expires_at,
    operation = NULL, recovery_point = NULL, owner = NULL
WHERE idempotency_keys.expires_at <= now();
--END
COMMIT;
--PROCESS
BEGIN;
\startpipeline
SELECT id, tenant, customer_email, total_minor, currency, version, placed_at
FROM orders WHERE id = (:id)::uuid AND state = 'pending' FOR UPDATE;
SELECT sku, name, quantity, unit_price_minor FROM order_lines WHERE order_id = (:id)::uuid ORDER BY line_no;
\endpipeline
SELECT sku, available FROM stock WHERE tenant = 'acme' AND sku = ANY(ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']) ORDER BY sku FOR UPDATE;
\startpipeline
UPDATE stock SET available = available - taken.quantity
FROM unnest(ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[], ARRAY[1, 1]::int[]) AS taken (sku, quantity)
WHERE stock.tenant = 'acme' AND stock.sku = taken.sku;
INSERT INTO stock_reservations (order_id, tenant, sku, quantity)
SELECT (:id)::uuid, 'acme', * FROM unnest(ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[], ARRAY[1, 1]::int[]);
UPDATE orders SET state = 'confirmed', rejection_reason = NULL, version = 2, updated_at = now()
WHERE id = (:id)::uuid AND version = 2 - 1;
INSERT INTO order_history (order_id, version, state, reason, at) VALUES ((:id)::uuid, 2, 'confirmed', NULL, now());
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, occurred_at)
VALUES ((:id)::uuid, 'orders.events', :id, 'muster.orders.OrderConfirmed', decode(repeat('ab', 240), 'hex'),
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', now());
UPDATE order_process SET step = 'done' WHERE order_id = (:id)::uuid AND step = 'reserve_stock';
\endpipeline
COMMIT;
--END
