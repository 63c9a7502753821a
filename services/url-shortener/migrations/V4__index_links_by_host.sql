-- A list of the links to one host. As V3 says, make it beforehand on a large table.
CREATE INDEX IF NOT EXISTS links_by_host ON links (tenant, target_host, created_at, code);
