-- A list without a filter. Building an index stops writes for as long as it takes; on a large table, make it beforehand with
-- CREATE INDEX CONCURRENTLY under the same name, which a migration cannot do because it is a transaction.
CREATE INDEX IF NOT EXISTS links_by_time ON links (tenant, created_at, code);
