ALTER TABLE order_process
    ADD COLUMN tracestate text CONSTRAINT order_process_tracestate_is_bounded CHECK (octet_length(tracestate) <= 512),
    ADD COLUMN baggage    text CONSTRAINT order_process_baggage_is_bounded CHECK (octet_length(baggage) <= 8192);

COMMENT ON COLUMN order_process.tracestate IS 'W3C Trace Context: data of tracing systems, such as a sampling decision. NULL without a traceparent.';
COMMENT ON COLUMN order_process.baggage IS 'W3C Baggage of the request that placed the order, passed on unread. It can hold personal data.';
