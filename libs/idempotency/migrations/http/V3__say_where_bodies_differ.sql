-- Nullable, and unknown to older replicas: they leave it empty, or leave that of an expired row which they take over. Its entry for
-- the whole body tells which body it is of.
ALTER TABLE idempotency_keys ADD COLUMN body_parts jsonb;

COMMENT ON COLUMN idempotency_keys.body_parts IS 'Shortened SHA-256 of the parts of the body by JSON pointer, to say where another body differs; NULL when nobody wrote it down.';
