-- The host of a target in its normal form is what stands between the two slashes and a port or the path: a name, an IPv4
-- address, or an IPv6 address in brackets. The dot that ends a full name says nothing, so it is left out.
--
-- The database computes it, so that a version of the service that does not know the column writes it all the same. Adding it
-- rewrites the table under an exclusive lock.
ALTER TABLE links ADD COLUMN target_host text NOT NULL GENERATED ALWAYS AS
    (rtrim(substring(target FROM '^https?://(\[[^]]*\]|[^/:?#]+)'), '.')) STORED;

COMMENT ON COLUMN links.target_host IS 'The host that the link leads to, for lists.';
