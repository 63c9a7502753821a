# fails: steady
# An index that this query cannot use.
sql orders "CREATE INDEX CONCURRENTLY orders_updated ON orders (updated_at)"
