-- The statements of POST /v1/orders in their order, and behind them those of the step that confirms the order. Ids grow with
-- time, as UUIDv7 does; keys are random, as clients' are. A line --NAME begins a section that can be left out; --END ends it.
-- Between the pipeline commands are statements that the service has on their way together.
\set seq :seq + 1
\set key random(1, 9223372036854775806)
BEGIN;
\startpipeline
--IDEMPOTENCY
SELECT pg_try_advisory_xact_lock(hashtextextended('acme' || E'\x1f' || :key::bigint::text, 0));
SELECT fingerprint_version, method, route, query_hash, body_hash, body_parts, status, headers, body
FROM idempotency_keys WHERE tenant = 'acme' AND key = :key::bigint::text AND expires_at > now();
--END
SELECT sku, name, unit_price_minor, currency FROM products WHERE tenant = 'acme' AND sku = ANY(ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']);
\endpipeline
\startpipeline
INSERT INTO orders
    (id, tenant, customer_email, state, total_minor, currency, version, placed_at, updated_at)
VALUES ((:id)::uuid, 'acme', 'bench@example.com', 'pending', 2130, 'EUR', 1, now(), now());
INSERT INTO order_lines (order_id, line_no, sku, name, quantity, unit_price_minor)
SELECT (:id)::uuid, * FROM unnest(ARRAY[1, 2]::int[], ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[],
    ARRAY['Sencha, 100 g', 'Earl Grey, 100 g']::text[], ARRAY[1, 1]::int[], ARRAY[1240, 890]::bigint[]);
INSERT INTO order_history (order_id, version, state, reason, at) VALUES ((:id)::uuid, 1, 'pending', NULL, now());
INSERT INTO order_process (order_id, step, due_at, traceparent, tracestate, baggage)
VALUES ((:id)::uuid, 'reserve_stock', now(), '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', NULL, NULL);
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at)
VALUES ((:id)::uuid, 'orders.events', :id, 'muster.orders.OrderPlaced', decode(repeat('ab', 150), 'hex'),
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', NULL, NULL, now());
--IDEMPOTENCY
INSERT INTO idempotency_keys
    (tenant, key, fingerprint_version, method, route, query_hash, body_hash, body_parts, status, headers, body, expires_at)
VALUES ('acme', :key::bigint::text, 1, 'POST', '/v1/orders', decode(repeat('cd', 32), 'hex'), decode(repeat('ef', 32), 'hex'),
    '{"": "0123456789abcdef", "/customer_email": "0123456789abcdef", "/lines": "0123456789abcdef", "/lines/0/sku": "0123456789abcdef", "/lines/0/quantity": "0123456789abcdef", "/lines/1/sku": "0123456789abcdef", "/lines/1/quantity": "0123456789abcdef"}', 202,
    '{"content-type": "application/json", "location": "/v1/orders/01929e2c-7a3e-7c9e-8b1e-000000000000"}',
    decode(repeat('ab', 560), 'hex'), now() + make_interval(secs => 259200))
ON CONFLICT (tenant, key) DO UPDATE SET
    fingerprint_version = excluded.fingerprint_version, method = excluded.method, route = excluded.route,
    query_hash = excluded.query_hash, body_hash = excluded.body_hash, body_parts = excluded.body_parts, status = excluded.status,
    headers = excluded.headers, body = excluded.body, created_at = now(), expires_at = excluded.expires_at
WHERE idempotency_keys.expires_at <= now();
--END
\endpipeline
COMMIT;
--PROCESS
BEGIN;
\startpipeline
SELECT set_config('lock_timeout', '10000', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
SELECT p.order_id, p.attempts, p.traceparent, p.tracestate, p.baggage, o.state = 'pending' AS is_pending,
    o.id, o.tenant, o.customer_email, o.total_minor, o.currency, o.version, o.placed_at,
    lines.skus, lines.names, lines.quantities, lines.prices
FROM order_process AS p JOIN orders AS o ON o.id = p.order_id
CROSS JOIN LATERAL (
    SELECT array_agg(sku ORDER BY line_no) AS skus, array_agg(name ORDER BY line_no) AS names,
        array_agg(quantity ORDER BY line_no) AS quantities, array_agg(unit_price_minor ORDER BY line_no) AS prices
    FROM order_lines AS l WHERE l.order_id = o.id) AS lines
WHERE p.step = 'reserve_stock' AND p.order_id = (:id)::uuid FOR UPDATE OF p, o SKIP LOCKED;
\endpipeline
SELECT tenant, sku, available, false AS is_held FROM stock
WHERE (tenant, sku) IN (SELECT * FROM unnest(ARRAY['acme', 'acme']::text[], ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[]))
ORDER BY tenant, sku FOR UPDATE;
\startpipeline
UPDATE stock SET available = available - taken.quantity
FROM unnest(ARRAY['acme', 'acme']::text[], ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[], ARRAY[1, 1]::bigint[]) AS taken (tenant, sku, quantity)
WHERE stock.tenant = taken.tenant AND stock.sku = taken.sku;
INSERT INTO stock_reservations (order_id, tenant, sku, quantity)
SELECT * FROM unnest(ARRAY[(:id), (:id)]::uuid[], ARRAY['acme', 'acme']::text[], ARRAY['TEA-SENCHA', 'TEA-EARL-GREY']::text[], ARRAY[1, 1]::int[]);
UPDATE orders SET state = final.state, rejection_reason = final.reason, version = final.version, updated_at = final.at
FROM unnest(ARRAY[(:id)]::uuid[], ARRAY[2]::int[], ARRAY['confirmed']::text[], ARRAY[NULL]::text[], ARRAY[now()]::timestamptz[]) AS final (id, version, state, reason, at)
WHERE orders.id = final.id AND orders.version = final.version - 1;
INSERT INTO order_history (order_id, version, state, reason, at)
SELECT * FROM unnest(ARRAY[(:id)]::uuid[], ARRAY[2]::int[], ARRAY['confirmed']::text[], ARRAY[NULL]::text[], ARRAY[now()]::timestamptz[]);
INSERT INTO outbox (event_id, topic, key, event_type, payload, traceparent, tracestate, baggage, occurred_at)
SELECT event_id, 'orders.events', key, event_type, payload, traceparent, tracestate, baggage, occurred_at
FROM unnest(ARRAY[(:id)]::uuid[], ARRAY[(:id)]::text[], ARRAY['muster.orders.OrderConfirmed']::text[],
    ARRAY[decode(repeat('ab', 240), 'hex')]::bytea[],
    ARRAY['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']::text[], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
    ARRAY[now()]::timestamptz[])
    AS entry (event_id, key, event_type, payload, traceparent, tracestate, baggage, occurred_at);
DELETE FROM order_process WHERE order_id = ANY(ARRAY[(:id)]::uuid[]) AND step = 'reserve_stock';
\endpipeline
COMMIT;
--END
