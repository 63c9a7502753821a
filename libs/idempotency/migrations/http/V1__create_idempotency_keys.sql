CREATE TABLE idempotency_keys (
    tenant              text        NOT NULL,
    key                 text        NOT NULL,
    fingerprint_version smallint    NOT NULL,
    method              text        NOT NULL,
    route               text        NOT NULL,
    query_hash          bytea       NOT NULL,
    body_hash           bytea       NOT NULL,
    status              smallint    NOT NULL CHECK (status BETWEEN 200 AND 499),
    headers             jsonb       NOT NULL,
    body                bytea       NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

COMMENT ON TABLE idempotency_keys IS 'First responses by Idempotency-Key, written in the transaction of their effect.';
COMMENT ON COLUMN idempotency_keys.route IS 'Route template, so that one key used on two routes is a mismatch.';
COMMENT ON COLUMN idempotency_keys.body_hash IS 'SHA-256 of the body in RFC 8785 form.';
COMMENT ON COLUMN idempotency_keys.fingerprint_version IS 'How the hashes were made; rows of another version are compared by method and route only.';
COMMENT ON COLUMN idempotency_keys.expires_at IS 'From then on the row behaves as absent, purged or not.';
